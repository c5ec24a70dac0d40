"""Reading a manifest: what it may say, and how each mistake is answered."""

from pathlib import Path

import pytest

from rollcall.errors import Invalid
from rollcall.manifest.parsing import ManifestInvalid, parse_manifest, read_manifest
from rollcall.tenancy.plans import PlanTerms
from rollcall.tenancy.tenants import TenantTerms

TENANT = """\
[tenants.acme]
name = "Acme"
plan = "free"
"""
RULE = """\
[tenants.acme.roles]
prefix = "acme-"
default = "member"
roles.admin = { label = "Admin", admin = true, names = ["admins"] }
roles.member = { label = "Member", names = ["members"] }
"""


def _refusal(text: str) -> list[str]:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(text)
    return caught.value.detail.split("\n")


def test_plan_in_full() -> None:
    """A plan's table is all that the plan includes."""
    plan = parse_manifest("""
[plans.team]
name = "Team"
features = ["scim", "events"]
seats = 9
rate_per_second = 0
rate_burst = 7
retention_days = 30
""").plans["team"]
    assert plan.terms() == PlanTerms(
        name="Team", features=("scim", "events"), seats=9, rate_per_second=0, rate_burst=7, retention_days=30
    )


def test_plan_with_defaults() -> None:
    """What a plan's table leaves out has the default of every plan."""
    assert parse_manifest('[plans.team]\nname = "Team"').plans["team"].terms() == PlanTerms(name="Team")


def test_tenant_keeps_what_is_left_out() -> None:
    """A tenant keeps the terms that its table leaves out, and "plan" gives a limit of its own up."""
    before = TenantTerms(name="Old", plan="team", token_issuing="ops", rate_per_second=30, rate_burst=60)
    kept = parse_manifest(TENANT).tenants["acme"].terms(before)
    assert kept == TenantTerms(name="Acme", plan="free", token_issuing="ops", rate_per_second=30, rate_burst=60)
    given_up = parse_manifest(TENANT + 'rate_per_second = "plan"\n').tenants["acme"].terms(before)
    assert (given_up.rate_per_second, given_up.rate_burst) == (None, 60)


def test_nothing() -> None:
    """An empty file says nothing, and that is fine."""
    manifest = parse_manifest("")
    assert (manifest.plans, manifest.tenants) == ({}, {})


MISTAKES = {
    "a top-level table misspelt": (
        "[tennants.acme]\n",
        'tenants.toml, line 1, tennants: there is no such key; did you mean "tenants"?',
    ),
    "a plan's key misspelt": (
        '[plans.team]\nname = "T"\nfeature = []\n',
        'tenants.toml, line 3, [plans.team] feature: there is no such key; did you mean "features"?',
    ),
    "an override of nothing": (
        TENANT + '[tenants.acme.overrides.sets]\nvalue = 1\nreason = "x"\n',
        (
            "tenants.toml, line 4, [tenants.acme.overrides.sets]: “sets” can't be overridden; there are: scim, events, "
            "seats, seat_policy"
        ),
    ),
    "an override that does not fit": (
        TENANT + '[tenants.acme.overrides.seats]\nvalue = true\nreason = "x"\n',
        "tenants.toml, line 5, [tenants.acme.overrides.seats] value: of seats has to be a whole number from 1 on",
    ),
    "a trial without an end": (
        TENANT + '[tenants.acme.overrides.scim]\nvalue = true\nreason = "x"\n',
        (
            "tenants.toml, line 4, [tenants.acme.overrides.scim] ends_at: say until when; for good a tenant has scim "
            "by a plan that includes it"
        ),
    ),
    "a moment without its offset": (
        TENANT + '[tenants.acme.overrides.seats]\nvalue = 1\nreason = "x"\nends_at = 2099-01-31T00:00:00\n',
        (
            "tenants.toml, line 7, [tenants.acme.overrides.seats] ends_at: should be a moment with its offset and "
            "without quotes, e.g. 2027-01-31T00:00:00Z, or a day"
        ),
    ),
    "a key like none": (
        TENANT + "colour = 1\n",
        (
            "tenants.toml, line 4, [tenants.acme] colour: there is no such key; the keys here are name, plan, status, "
            "tokens, owner_leaves, last_admin, deputy, break_glass, profile, rate_per_second, rate_burst, "
            "mass_change_threshold, external_id, customer, metadata, overrides, roles, admins"
        ),
    ),
    "a secret": (
        TENANT + 'scim_secret = "rc_hush"\n',
        (
            "tenants.toml, line 4, [tenants.acme] scim_secret: there is no such key, and no secret belongs in this "
            "file; tokens are issued by rollcall tokens issue"
        ),
    ),
    "a rule's key misspelt": (
        TENANT + RULE + 'on_conflikt = "hold"\n',
        'tenants.toml, line 9, [tenants.acme.roles] on_conflikt: there is no such key; did you mean "on_conflict"?',
    ),
    "a role's key misspelt": (
        TENANT + RULE + 'roles.lead = { label = "Lead", alias = [] }\n',
        'tenants.toml, line 9, [tenants.acme.roles] roles.lead.alias: there is no such key; did you mean "aliases"?',
    ),
    "an admin's key misspelt": (
        TENANT + '[[tenants.acme.admins]]\nuser_name = "a"\nrolle = "admin"\n',
        'tenants.toml, line 6, [[tenants.acme.admins]] number 1 rolle: there is no such key; did you mean "role"?',
    ),
    "an external id twice": (
        TENANT + 'external_id = "cus_1"\n[tenants.b]\nname = "B"\nplan = "free"\nexternal_id = "cus_1"\n',
        'tenants.toml, line 8, [tenants.b] external_id: "cus_1" is the external_id of acme already',
    ),
    "an external id that is too long": (
        TENANT + f'external_id = "{"x" * 256}"\n',
        "tenants.toml, line 4, [tenants.acme] external_id: has to have 1 to 255 characters",
    ),
    "a customer twice": (
        TENANT + 'customer = "cus_1"\n[tenants.b]\nname = "B"\nplan = "free"\ncustomer = "cus_1"\n',
        'tenants.toml, line 8, [tenants.b] customer: "cus_1" is the customer of acme already',
    ),
    "a price that stands for nothing": (
        "[billing.prices]\nprice_1 = {}\n",
        'tenants.toml, line 2, [billing.prices] price_1: should have a plan, or seats = "quantity"',
    ),
    "a price's key misspelt": (
        '[billing.prices]\nprice_1 = { plann = "team" }\n',
        'tenants.toml, line 2, [billing.prices] price_1.plann: there is no such key; did you mean "plan"?',
    ),
    "seats of a price that are a number": (
        "[billing.prices]\nprice_1 = { seats = 5 }\n",
        'tenants.toml, line 2, [billing.prices] price_1.seats: should be "quantity"',
    ),
    "metadata that is no text": (
        TENANT + "metadata = { crm = 42 }\n",
        "tenants.toml, line 4, [tenants.acme] metadata.crm: should be a text in quotes",
    ),
    "a key of metadata that is too long": (
        TENANT + f'metadata = {{ {"k" * 41} = "v" }}\n',
        f'tenants.toml, line 4, [tenants.acme] metadata: has the key "{"k" * 41}"; keys have 1 to 40 characters',
    ),
    "a missing key": (
        '[tenants.acme]\nplan = "free"\n',
        "tenants.toml, line 1, [tenants.acme] name: is missing",
    ),
    "a table that is none": (
        "plans = 3\n",
        "tenants.toml, line 1, plans: should be a table",
    ),
    "a text that is none": (
        "[plans.team]\nname = 3\n",
        "tenants.toml, line 2, [plans.team] name: should be a text in quotes",
    ),
    "an empty text": (
        '[plans.team]\nname = ""\n',
        "tenants.toml, line 2, [plans.team] name: must not be empty",
    ),
    "a list that is none": (
        '[plans.team]\nname = "T"\nfeatures = "scim"\n',
        "tenants.toml, line 3, [plans.team] features: should be a list in brackets",
    ),
    "a feature that is none": (
        '[plans.team]\nname = "T"\nfeatures = [\n  "scim",\n  "SSO",\n]\n',
        ('tenants.toml, lines 3-6, [plans.team] features, entry 2: "SSO" is no feature; there are: scim, events'),
    ),
    "a feature that is not built": (
        '[plans.team]\nname = "T"\nfeatures = ["scim", "sso"]\n',
        (
            'tenants.toml, line 3, [plans.team] features, entry 2: "sso": single sign-on is not built yet, so nobody '
            "can be given it; take it out. There are: scim, events"
        ),
    ),
    "a feature twice": (
        '[plans.team]\nname = "T"\nfeatures = ["scim", "scim"]\n',
        "tenants.toml, line 3, [plans.team] features: names scim more than once",
    ),
    "a number in quotes": (
        '[plans.team]\nname = "T"\nseats = "9"\n',
        "tenants.toml, line 3, [plans.team] seats: should be a whole number",
    ),
    "no seat": (
        '[plans.team]\nname = "T"\nseats = 0\n',
        "tenants.toml, line 3, [plans.team] seats: should be greater than or equal to 1",
    ),
    "a rate too low": (
        '[plans.team]\nname = "T"\nrate_per_second = 24\n',
        (
            "tenants.toml, line 3, [plans.team] rate_per_second: should be 0, which means no limit, or at least 25 "
            "calls a second"
        ),
    ),
    "a plan's key that can't be one": (
        '[plans."Our Team"]\nname = "T"\n',
        (
            'tenants.toml, line 1, [plans."Our Team"]: can\'t be the key of a plan: use at most 63 lower-case letters, '
            "digits, - and _"
        ),
    ),
    "a slug that can't be one": (
        '[tenants.Acme]\nname = "A"\nplan = "free"\n',
        (
            "tenants.toml, line 1, [tenants.Acme]: can't be a slug: use at most 63 lower-case letters, digits and -, "
            "e.g. acme-corp"
        ),
    ),
    "a slug that is an id": (
        '[tenants.0192f2c4-0000-7000-8000-000000000000]\nname = "A"\nplan = "free"\n',
        (
            "tenants.toml, line 1, [tenants.0192f2c4-0000-7000-8000-000000000000]: can't be a slug: it reads as the id "
            "of a tenant; use a name, e.g. acme-corp"
        ),
    ),
    "a status that is none": (
        TENANT + 'status = "off"\n',
        'tenants.toml, line 4, [tenants.acme] status: should be "active" or "suspended"',
    ),
    "a way of issuing that is none": (
        TENANT + 'tokens = "nobody"\n',
        'tenants.toml, line 4, [tenants.acme] tokens: should be "self_service" or "ops"',
    ),
    "an address that is none": (
        TENANT + '[[tenants.acme.admins]]\nuser_name = "ada"\nemail = "ada at home"\n',
        'tenants.toml, line 6, [[tenants.acme.admins]] number 1 email: "ada at home" is no e-mail address',
    ),
    "a rule that contradicts itself": (
        TENANT + RULE.replace('"member"\n', '"membr"\n'),
        'tenants.toml, line 4, [tenants.acme.roles]: the default role "membr" is none of the roles: admin, member',
    ),
    "an admin flag that is none": (
        TENANT + RULE.replace("admin = true", "admin = 1"),
        "tenants.toml, line 7, [tenants.acme.roles] roles.admin.admin: should be true or false",
    ),
    "an admin with another role": (
        TENANT + RULE + '[[tenants.acme.admins]]\nuser_name = "ada"\nrole = "member"\n',
        (
            'tenants.toml, line 11, [[tenants.acme.admins]] number 1 role: "member" is no admin role of this tenant; '
            "its admin roles are: admin"
        ),
    ),
    "an admin with no such role": (
        TENANT + RULE + '[[tenants.acme.admins]]\nuser_name = "ada"\nrole = "boss"\n',
        (
            'tenants.toml, line 11, [[tenants.acme.admins]] number 1 role: "boss" is no role of this tenant; '
            "its admin roles are: admin"
        ),
    ),
    "an admin twice": (
        TENANT + '[[tenants.acme.admins]]\nuser_name = "ada"\n[[tenants.acme.admins]]\nuser_name = "ADA"\n',
        (
            'tenants.toml, line 7, [[tenants.acme.admins]] number 2 user_name: "ADA" is admin number 1 already; '
            "case makes no difference"
        ),
    ),
    "an external_id twice": (
        TENANT + 'admins = [{ user_name = "a", external_id = "1" }, { user_name = "b", external_id = "1" }]\n',
        (
            'tenants.toml, line 4, [[tenants.acme.admins]] number 2 external_id: "1" is the external_id of admin '
            "number 1 already"
        ),
    ),
    "no TOML": (
        '[plans.team]\nname "T"\n',
        "tenants.toml, line 2: Expected '=' after a key in a key/value pair (column 6)",
    ),
    "TOML that ends too early": (
        'a = """',
        "tenants.toml: Unterminated string (at end of document)",
    ),
    "a table twice": (
        TENANT + TENANT,
        "tenants.toml, line 4: Cannot declare ('tenants', 'acme') twice (column 14)",
    ),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_one_mistake(text: str, said: str) -> None:
    """Each mistake is said in one line, with its line, its table and its key."""
    assert _refusal(text) == [said]


def test_all_mistakes_together() -> None:
    """Several mistakes are reported at once, from the top of the file to its end."""
    lines = _refusal('[plans.team]\nnme = "T"\nseats = -1\n' + TENANT + 'status = "off"\n')
    assert [line.split(":")[0] for line in lines] == [
        "tenants.toml, line 1, [plans.team] name",
        "tenants.toml, line 2, [plans.team] nme",
        "tenants.toml, line 3, [plans.team] seats",
        "tenants.toml, line 7, [tenants.acme] status",
    ]


def test_very_many_mistakes() -> None:
    """A file that is wrong everywhere is answered with the first fifty."""
    lines = _refusal("".join(f"[plans.p{number}]\n" for number in range(60)))
    assert len(lines) == 51
    assert lines[-1] == "and 10 more"


def test_values_are_not_repeated() -> None:
    """What stands at an unknown key is not said again; it may be a secret."""
    assert "rc_hush" not in _refusal(TENANT + 'password = "rc_hush"\n')[0]


def test_a_refusal_like_any_other() -> None:
    """A manifest that can't be read is a refusal, so every surface says it without a traceback."""
    assert issubclass(ManifestInvalid, Invalid)


def test_no_such_file(tmp_path: Path) -> None:
    """A file that is not there is named in full."""
    with pytest.raises(ManifestInvalid, match=r"nowhere.toml: can't be read: No such file or directory"):
        read_manifest(tmp_path / "nowhere.toml")


def test_no_text(tmp_path: Path) -> None:
    """A file that is no UTF-8 text is refused as that."""
    (tmp_path / "odd.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(ManifestInvalid, match=r"odd.toml: is not UTF-8 text \(byte 9 can't be read\)"):
        read_manifest(tmp_path / "odd.toml")


def test_byte_order_mark(tmp_path: Path) -> None:
    """A file that an editor began with a byte order mark is read like any other."""
    (tmp_path / "marked.toml").write_bytes(b"\xef\xbb\xbf" + TENANT.encode())
    assert list(read_manifest(tmp_path / "marked.toml").tenants) == ["acme"]
