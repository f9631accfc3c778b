"""Whom we call: a table of rows, the providers that a user declares, and what joins a row to a key and a dialect."""
