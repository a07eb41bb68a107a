"""Sample artifacts made with real TensorFlow, one module a family, and what live Keras says of each."""
