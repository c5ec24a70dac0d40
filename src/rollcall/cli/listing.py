"""All commands as one page of documentation, written from the commands themselves."""

from collections.abc import Iterator

import click

_OPENING = """# Commands

Every command, as `rollcall COMMAND --help` says it; this page is written from them, and a test keeps it so.

- `TENANT` is a tenant's slug or id, a person is named by userName or id.
- `--json` prints what `/v1` answers: one object, or `{"data": […], "next_cursor": …}` for a list.
  Moments are RFC 3339 in UTC, to the second; a secret that is shown once is in it, once.
- On a terminal moments are relative, and tables fold.
  In a pipe moments are RFC 3339, and tables are plain aligned text that is never cut off.
  `NO_COLOR` switches colours off.
- What cuts somebody off says who and what is affected, and asks.
  Where nobody is at the keyboard it does nothing without `--yes`.
- Exit codes: 0 it is done, 1 it was refused or something is wrong, 2 it can't be typed so.

## Completion

`rollcall` completes commands, options and their choices with the Tab key once your shell has read its script:

```sh
# bash (4.4 or newer), in ~/.bashrc
eval "$(_ROLLCALL_COMPLETE=bash_source rollcall)"

# zsh, in ~/.zshrc, after compinit
eval "$(_ROLLCALL_COMPLETE=zsh_source rollcall)"

# fish, in ~/.config/fish/completions/rollcall.fish
_ROLLCALL_COMPLETE=fish_source rollcall | source
```
"""


def page(root: click.Group) -> str:
    """The page, in Markdown."""
    context = click.Context(root, info_name="rollcall")
    parts = [_OPENING]
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        parts.append("\n".join(_section(command, context, name)))
    return "\n".join(parts)


def _section(command: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    yield f"## {name}"
    yield ""
    yield _said(command)
    yield ""
    if isinstance(command, click.Group):
        for child_name in command.list_commands(context):
            child = command.get_command(context, child_name)
            assert child is not None
            yield from _command(child, click.Context(child, info_name=child_name, parent=context))
    else:
        yield from _command(command, context, is_described=True)


def _command(command: click.Command, context: click.Context, *, is_described: bool = False) -> Iterator[str]:
    yield f"### `{' '.join([context.command_path, *command.collect_usage_pieces(context)[1:]])}`"
    yield ""
    if not is_described:
        yield _said(command)
        yield ""
    records = [record for each in command.params if (record := each.get_help_record(context)) is not None]
    for option, said in records:
        yield f"- `{option}`{f': {_escaped(said)}' if said else ''}"
    if records:
        yield ""


def _said(command: click.Command) -> str:
    """The help of a command, one sentence a line."""
    paragraphs = [" ".join(part.split()) for part in (command.help or "").split("\n\n")]
    return "\n\n".join(_escaped(part).replace(". ", ".\n") for part in paragraphs)


def _escaped(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    from rollcall.cli.main import main

    click.echo(page(main), nl=False)
