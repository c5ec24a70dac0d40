"""Run by Canaille's own Python: an identity provider in memory, whose people and groups are changed by words on stdin.

``driver ADDRESS TOKEN``; each word is answered by a line once Canaille's SCIM client has had its turn.
"""

import datetime
import sys
from importlib import import_module
from typing import Any

canaille: Any = import_module("canaille")


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def make_app() -> Any:
    return canaille.create_app(
        config={
            "SECRET_KEY": "of this run alone",
            "SERVER_NAME": "canaille.test",
            "TESTING": True,
            "CANAILLE": {"DATABASE": "memory", "SMTP": None},
            "CANAILLE_OIDC": {"ENABLE_OIDC": True, "TRUSTED_DOMAINS": ["127.0.0.1"]},
            "CANAILLE_SCIM": {"ENABLE_SERVER": True, "ENABLE_CLIENT": True},
        }
    )


def connect(models: Any, store: Any, address: str, token: str) -> None:
    """Make the application that is provisioned known, and the token that it expects."""
    client = models.Client(
        client_id="rollcall",
        client_name="Rollcall",
        client_uri=address,
        redirect_uris=[address],
        client_id_issued_at=now(),
        client_secret="unused",
        grant_types=["client_credentials"],
        response_types=["code"],
        scope=["openid"],
        token_endpoint_auth_method="client_secret_basic",
    )
    store.save(client)
    times = {"issue_date": now(), "lifetime": 3600}
    store.save(
        models.Token(token_id="one", access_token=token, audience=[client], client=client, scope=["openid"], **times)
    )


def obey(models: Any, store: Any) -> None:
    """Do what each word says."""
    alice = models.User(user_name="alice", given_name="Alice", family_name="Archer", formatted_name="Alice Archer")
    alice.emails = ["alice@canaille.test"]
    group = None
    for line in sys.stdin:
        match word := line.strip():
            case "create":
                store.save(alice)
            case "change":
                alice.family_name, alice.formatted_name, alice.title = "Bowman", "Alice Bowman", "Dr"
                store.save(alice)
            case "group":
                group = models.Group(display_name="dart-guests", members=[alice])
                store.save(group)
            case "deactivate":
                alice.lock_date = now()
                store.save(alice)
            case "ungroup":
                store.delete(group)
            case "delete":
                store.delete(alice)
            case _:
                sys.exit(f"what is {word}?")
        sys.stdout.write(f"done: {word}\n")
        sys.stdout.flush()


def main() -> None:
    app = make_app()
    with app.app_context():
        store = import_module("canaille.backends").Backend.instance
        models: Any = import_module("canaille.app").models
        with store.session():
            connect(models, store, *sys.argv[1:3])
            obey(models, store)


if __name__ == "__main__":
    main()
