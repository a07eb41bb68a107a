"""Sample artifacts made with real TensorFlow, and what live Keras says of each."""
