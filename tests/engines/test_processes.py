"""Free ports, and the account an engine runs as."""

import os
from pathlib import Path

import pytest

from rollcall.engines import EngineFailed, processes
from rollcall.engines.processes import Account, account_for, free_port


def test_a_free_port_is_not_one_for_outgoing_connections() -> None:
    """Ports come from a range that the system does not hand to clients."""
    assert free_port(None) in processes.PORTS


def test_an_ordinary_user_is_itself(tmp_path: Path) -> None:
    """Only root chooses an account; everybody else runs the engines as they are."""
    account = account_for(tmp_path / "not there")
    assert (account is None) == (os.geteuid() != 0)


def test_root_takes_the_owner_of_the_folder(nobody: Account, tmp_path: Path) -> None:
    """Root runs an engine as the owner of its folder, and as nobody when root is that or there is none."""
    assert account_for(tmp_path) == nobody
    os.chown(tmp_path, 1, -1)
    owner = account_for(tmp_path)
    assert owner is not None
    assert owner.uid == 1


def test_a_folder_of_an_unknown_account(nobody: Account, tmp_path: Path) -> None:
    """A folder whose owner has no account here is refused with the number of that owner."""
    os.chown(tmp_path, 3_999_999, -1)
    with pytest.raises(EngineFailed, match="3999999"):
        account_for(tmp_path)
