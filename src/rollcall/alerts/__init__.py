"""Alerts: what somebody should look at before it hurts; they open and close themselves."""
