"""Groups of sub-commands of `xrl` that `__main__` puts together. They and `__main__` alone print."""
