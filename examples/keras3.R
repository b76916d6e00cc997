# The initializers of R's keras3, made by seedbed: the same names, arguments and examples.
#
#     RETICULATE_PYTHON=.venv/bin/python Rscript examples/keras3.R
#
# needs R, its package reticulate, and a Python with seedbed. The layer at the end also needs Keras.

library(reticulate)

seedbed <- import("seedbed")
source(file.path(dirname(seedbed$`__file__`), "R", "seedbed.R"))

# Standalone usage, as on the reference page.
initializer <- initializer_glorot_normal()
values <- seedbed_array(initializer(shape = c(2, 2)))
stopifnot(identical(dim(values), c(2L, 2L)), all(abs(values) <= 2 * sqrt(2 / 4) / 0.8796256610342398))

# An integer repeats its values, and a generator gives new ones.
initializer <- initializer_glorot_normal(seed = 42)
stopifnot(identical(seedbed_array(initializer(shape = c(2, 3))), seedbed_array(initializer(shape = c(2L, 3L)))))
initializer <- initializer_he_uniform(seed = random_seed_generator(42))
stopifnot(!identical(seedbed_array(initializer(shape = 4)), seedbed_array(initializer(shape = 4))))

# Usage in a layer, as on the reference page.
if (py_module_available("keras")) {
  layer <- import("keras")$layers$Dense(3L, kernel_initializer = initializer_glorot_normal(seed = 42))
  layer$build(tuple(NULL, 5L))
  expected <- seedbed$GlorotNormal(seed = 42L)(shape = c(5, 3))
  stopifnot(identical(seedbed_array(layer$kernel), seedbed_array(expected)))
  cat("a layer of Keras is initialized with the bits of seedbed\n")
}
print(c(values))
