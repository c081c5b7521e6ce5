"""The promoted bundle over HTTP."""
