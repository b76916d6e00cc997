# Initializers for R's keras3: those that keras3 has, with the values of seedbed, and the others of seedbed.
#
#     library(reticulate)
#     source(file.path(dirname(import("seedbed")$`__file__`), "R", "seedbed.R"))
#     layer <- layer_dense(units = 3, kernel_initializer = initializer_glorot_normal(seed = 42))
#
# defines initializer_NAME() for each class of seedbed, random_seed_generator() and seedbed_array(). It needs the package
# reticulate and a Python that has seedbed. If Keras is installed too, the initializers are those of seedbed.keras and
# make tensors of its backend; to use those of seedbed instead, call options(seedbed.keras = FALSE) before source().

local({
  target <- parent.env(environment())
  seedbed <- reticulate::import("seedbed")
  with_keras <- getOption("seedbed.keras", reticulate::py_module_available("keras"))
  module <- if (with_keras) reticulate::import("seedbed.keras") else seedbed

  # Numbers in R are doubles. Convert whole ones to integers for seeds and numbers of groups, as keras3 does.
  as_whole <- function(what, value) {
    if (!is.numeric(value)) return(value)
    if (length(value) != 1 || is.na(value) || value != trunc(value) || abs(value) >= 2^31)
      stop(what, " must be a whole number between -2^31 and 2^31. Received: ", deparse(value))
    as.integer(value)
  }

  # Versions of reticulate before 1.36 do not convert arrays to NumPy 2 or back.
  as_python <- function(value) {
    if (!is.array(value)) return(value)
    numpy <- reticulate::import("numpy", convert = FALSE)
    numpy$reshape(as.list(c(value)), as.list(dim(value)), order = "F")
  }

  # A function with the arguments of a Python class, and its defaults.
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

  # Convert a tensor of any backend, or a NumPy array, to an R array.
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
