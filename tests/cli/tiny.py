"""Networks small enough to race in a test, as a user would write them."""

import keras


def small(classes):
    """Return a convolutional network that learns the digits in seconds."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Rescaling(1 / 127.5, -1),
            keras.layers.Conv2D(16, 3, strides=2, padding="same", name="first"),
            keras.layers.BatchNormalization(name="first_bn"),
            keras.layers.ReLU(),
            keras.layers.Conv2D(32, 3, strides=2, padding="same", activation="relu", name="second"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, activation="softmax", name="scores"),
        ],
        name="small",
    )


def linear(classes, image_size):
    """Return a linear classifier."""
    inputs = keras.Input((image_size, image_size, 3))
    x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, keras.layers.Dense(classes, name="scores")(x), name="linear")


def features(image_size):
    """Return a feature map, to which the head of all models is added."""
    inputs = keras.Input((image_size, image_size, 3))
    x = keras.layers.Rescaling(1 / 127.5, -1)(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(8, 3, strides=2, activation="relu")(x), name="features")


def explodes(classes, image_size):
    """Return a network whose loss is not a number."""
    inputs = keras.Input((image_size, image_size, 3))
    x = keras.layers.Flatten()(inputs)
    x = keras.layers.Lambda(lambda values: values / 0.0 * 0.0)(x)
    return keras.Model(inputs, keras.layers.Dense(classes, name="scores")(x), name="explodes")


def fails(classes):
    """Fail as a user's code does."""
    raise RuntimeError("a mistake of mine")


def probabilities(classes, image_size):
    """Return a network that hides its softmax in an operation."""
    inputs = keras.Input((image_size, image_size, 3))
    x = keras.layers.Dense(classes, name="scores")(keras.layers.Flatten()(inputs))
    return keras.Model(inputs, keras.ops.softmax(x), name="probabilities")
