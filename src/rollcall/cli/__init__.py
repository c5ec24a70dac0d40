"""Rollcall's commands."""
