# The initializers of R's keras3, made by seedbed: the same names, arguments and examples.
#
#     RETICULATE_PYTHON=.venv/bin/python Rscript examples/keras3.R
#
# needs R, its package reticulate, and a Python that has seedbed; for the layer at the end, Keras too.

library(reticulate)

seedbed <- import("seedbed")
with_keras <- py_module_available("keras")
initializers <- if (with_keras) import("seedbed.keras") else seedbed

# R's numbers are doubles, and seeds are integers: as in keras3, what is whole becomes one.
as_seed <- function(seed) {
  if (!is.numeric(seed)) return(seed)
  if (length(seed) != 1 || is.na(seed) || seed != trunc(seed) || abs(seed) >= 2^31)
    stop("a seed must be a whole number between -2^31 and 2^31. Received: ", deparse(seed))
  as.integer(seed)
}

# initializer_glorot_normal(seed = NULL) and so on: one function for each class, with the arguments that the class has.
for (name in c("zeros", "ones", "constant", "random_normal", "random_uniform", "truncated_normal", "variance_scaling",
               "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "lecun_normal", "lecun_uniform")) {
  assign(paste0("initializer_", name), local({
    make <- initializers[[name]]
    function(...) {
      arguments <- list(...)
      if ("seed" %in% names(arguments)) arguments["seed"] <- list(as_seed(arguments[["seed"]]))
      do.call(make, arguments)
    }
  }))
}
random_seed_generator <- function(seed = NULL, name = NULL) seedbed$SeedGenerator(as_seed(seed), name)

# A tensor as R's numbers: reticulate converts NumPy's arrays, but not that of Debian 12 those of NumPy 2.
numbers <- function(tensor) if (is.array(tensor)) c(aperm(tensor)) else unlist(tensor$tolist())

# Standalone usage, as on the reference page.
initializer <- initializer_glorot_normal()
values <- initializer(shape = c(2, 2))
stopifnot(length(numbers(values)) == 4, all(abs(numbers(values)) <= 2 * sqrt(2 / 4) / 0.8796256610342398))

# An integer repeats, a generator moves on.
initializer <- initializer_glorot_normal(seed = 42)
stopifnot(identical(numbers(initializer(shape = c(2, 3))), numbers(initializer(shape = c(2L, 3L)))))
initializer <- initializer_he_uniform(seed = random_seed_generator(42))
stopifnot(!identical(numbers(initializer(shape = 4)), numbers(initializer(shape = 4))))

# Usage in a layer, as on the reference page.
if (with_keras) {
  layer <- import("keras")$layers$Dense(3L, kernel_initializer = initializer_glorot_normal(seed = 42))
  layer$build(tuple(NULL, 5L))
  kernel <- import("keras")$ops$convert_to_numpy(layer$kernel)
  stopifnot(identical(numbers(kernel), numbers(seedbed$GlorotNormal(seed = 42L)(shape = c(5, 3)))))
  cat("a layer of Keras begins with the bits of seedbed\n")
}
print(numbers(values))
