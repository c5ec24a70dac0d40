"""``rollcall secret``: a fresh key to seal secrets under."""

import click

from rollcall.crypto import new_secret_key


@click.command()
def secret() -> None:
    """Print a fresh key for ROLLCALL_SECRET_KEYS; it is kept nowhere.

    To change keys put the new one first, separated by a comma, on every process; the old ones go on opening what they
    have sealed.
    """
    click.echo(new_secret_key())
