"""Measures of the console's pages: how long the server takes for each, and how many statements that is."""
