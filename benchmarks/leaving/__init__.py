"""Measures of leaving: who is refused, who is notified, and when."""
