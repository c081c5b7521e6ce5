"""The trading environment over the account step."""
