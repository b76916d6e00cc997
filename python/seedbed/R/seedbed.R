# The initializers of R's keras3, with the values of seedbed, and those that only seedbed has.
#
#     library(reticulate)
#     source(file.path(dirname(import("seedbed")$`__file__`), "R", "seedbed.R"))
#     layer <- layer_dense(units = 3, kernel_initializer = initializer_glorot_normal(seed = 42))
#
# defines initializer_NAME() for each class of seedbed, random_seed_generator() and seedbed_array(). It needs the package
# reticulate and a Python that has seedbed. Where Keras is installed too, the initializers are those of seedbed.keras and
# make tensors of its backend; options(seedbed.keras = FALSE) before source() says otherwise.

local({
  target <- parent.env(environment())
  seedbed <- reticulate::import("seedbed")
  with_keras <- getOption("seedbed.keras", reticulate::py_module_available("keras"))
  module <- if (with_keras) reticulate::import("seedbed.keras") else seedbed

  # R's numbers are doubles. Seeds and numbers of groups are integers: as in keras3, what is whole becomes one.
  as_whole <- function(what, value) {
    if (!is.numeric(value)) return(value)
    if (length(value) != 1 || is.na(value) || value != trunc(value) || abs(value) >= 2^31)
      stop(what, " must be a whole number between -2^31 and 2^31. Received: ", deparse(value))
    as.integer(value)
  }

  # Versions of reticulate before 1.36 do not convert arrays to those of NumPy 2 by themselves, nor back.
  as_python <- function(value) {
    if (!is.array(value)) return(value)
    numpy <- reticulate::import("numpy", convert = FALSE)
    numpy$reshape(as.list(c(value)), as.list(dim(value)), order = "F")
  }

  # A function with the arguments of a Python class. Those that a call leaves out have the class's defaults.
  initializer <- function(class, parameters) {
    force(class)
    made <- function() {
      arguments <- lapply(as.list(match.call())[-1], eval, envir = parent.frame())
      for (what in intersect(names(arguments), c("seed", "groups")))
        arguments[what] <- list(as_whole(what, arguments[[what]]))
      do.call(class, lapply(arguments, as_python))
    }
    formals(made) <- stats::setNames(rep(alist(argument = ), length(parameters)), parameters)
    made
  }

  builtins <- reticulate::import_builtins()
  signature <- reticulate::import("inspect", convert = FALSE)$signature
  for (name in builtins$list(seedbed$config$ALIASES)) {
    class <- module[[name]]
    parameters <- as.character(builtins$list(signature(class)$parameters))
    assign(paste0("initializer_", name), initializer(class, parameters), envir = target)
  }

  assign("random_seed_generator", function(seed = NULL, name = NULL) {
    seedbed$SeedGenerator(as_whole("seed", seed), name)
  }, envir = target)

  # A tensor of any backend, or an array of NumPy, as an array of R.
  assign("seedbed_array", function(tensor) {
    if (is.array(tensor) || is.atomic(tensor)) return(tensor)
    if (with_keras) tensor <- reticulate::import("keras", convert = FALSE)$ops$convert_to_numpy(tensor)
    numpy <- reticulate::import("numpy", convert = FALSE)
    tensor <- numpy$asarray(tensor, "float64")
    numbers <- as.numeric(unlist(reticulate::py_to_r(tensor$ravel("F")$tolist())))
    shape <- as.integer(builtins$list(tensor$shape))
    if (length(shape)) array(numbers, dim = shape) else numbers
  }, envir = target)
})
