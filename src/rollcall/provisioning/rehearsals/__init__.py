"""Rehearsals: conversations of identity providers, played by the real routes where nothing of it stays.

`stage` is the transaction that is undone, `providers` what each provider says, `playing` has it said and notes what
came of it.
"""
