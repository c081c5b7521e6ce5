"""Running the product on one machine: set-up check, servers, demo. Nothing in `xrl` imports from here."""
