"""Models that turn windows of features into class probabilities and embeddings."""
