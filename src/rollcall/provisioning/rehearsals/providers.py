"""What each identity provider says, in the shapes that it sends: `conversation` puts it together.

They are those of the providers' own references, which the tests replay turn by turn (`tests/api/transcripts`). Where a
provider publishes no bodies they have the plain shape of RFC 7643. A provider calls itself here what its reference says
that it does, and nothing where it does not say. What a line says that it does, and the title of a chapter, stand there
as constants: so they are found for the console's catalogue (`scripts/words`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rollcall.provisioning.rehearsals.lines import About, Body, Chapter, Line, Look, id_of

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

KEPT = "ana"
ANA, PROBE, PROBES = id_of(KEPT), id_of("probe"), id_of("probes")
NAME = "ana.reyes@rehearsal.example"
GIVEN, FAMILY, LATER = "Ana", "Reyes", "Reyes-Holm"
EXTERNAL = "rehearsal-0017"
NOBODY = "5f0c3c4e-6b38-4a40-9a7e-1c2d7b8e4f11"
"""A name that nobody has, as Entra asks for one."""


@dataclass(frozen=True, slots=True)
class Cast:
    """The names that are pushed, the one of them that Ana is given, and one, if there is any, that contradicts it."""

    names: Sequence[str]
    first: str
    second: str | None
    by_groups: bool
    """Whether names are looked for in groups; else a person's attribute says them."""


class Dialect:
    """A provider that keeps to the standard; others say what they say otherwise."""

    name = "Your provider"
    agent: str | None = None
    media_type = "application/scim+json"

    def person(self, *, active: bool = True, family: str = FAMILY) -> Body:
        """Ana, as the provider writes her whole."""
        return {
            "schemas": [USER],
            "userName": NAME,
            "externalId": EXTERNAL,
            "name": {"givenName": GIVEN, "familyName": family},
            "displayName": f"{GIVEN} {family}",
            "emails": [{"value": NAME, "type": "work", "primary": True}],
            "active": active,
        }

    def change(self, *operations: Mapping[str, object]) -> Body:
        """The body of a PATCH."""
        return {"schemas": [PATCH_OP], "Operations": [dict(each) for each in operations]}

    def page(self) -> Mapping[str, str]:
        """What it adds to each question."""
        return {}

    def tests(self) -> Sequence[Line]:
        """The button that tests the connection."""
        one = {"startIndex": "1", "count": "1"}
        return [
            Line(About.TEST, "%(who)s asks what the service can do", "GET /ServiceProviderConfig"),
            Line(About.TEST, "%(who)s asks for the first person", "GET /Users", query=one),
        ]

    def looks_up(self) -> Line:
        """Whether Ana is there already."""
        query = {"filter": f'userName eq "{NAME}"', **self.page()}
        return Line(About.LOOK_UP, "%(who)s looks whether Ana is there already", "GET /Users", query=query)

    def comes(self) -> Sequence[Line]:
        """Ana is assigned."""
        create = Line(About.CREATE, "%(who)s creates her", "POST /Users", self.person(), keep=KEPT, person=KEPT)
        return [self.looks_up(), create]

    def changes(self) -> Sequence[Line]:
        """Ana's name changes."""
        body = self.change({"op": "replace", "path": "name.familyName", "value": LATER})
        return [Line(About.CHANGE, "%(who)s changes her family name", f"PATCH /Users/{ANA}", body, person=KEPT)]

    def sends_her(self, body: Body) -> Line:
        """Her name changes where everything about her is sent again."""
        ask = f"PUT /Users/{ANA}"
        return Line(About.CHANGE, "%(who)s sends her whole, with another family name", ask, body, person=KEPT)

    def finds_group(self, name: str) -> Line:
        """Whether a group is there already."""
        query = {"filter": f'displayName eq "{quoted(name)}"', **self.page()}
        return self.looks_for_group(name, query)

    def looks_for_group(self, name: str, query: Mapping[str, str]) -> Line:
        """The same, asked so."""
        about = About.LOOK_UP_GROUP
        return Line(about, "%(who)s looks whether the group is there", "GET /Groups", query=query, group=name)

    def group(self, name: str) -> Body:
        """A group as it is pushed."""
        return {"schemas": [GROUP], "displayName": name}

    def pushes(self, names: Sequence[str]) -> Sequence[Line]:
        """Groups come, without anybody in them; they are asked for first, and the first stands for all of them."""
        pushed = [self.push(names, name) for name in names]
        return [self.finds_group(names[0]), *pushed] if names else []

    def push(self, names: Sequence[str], name: str) -> Line:
        """A group comes."""
        keep, body = kept(names, name), self.group(name)
        return Line(About.PUSH, "%(who)s pushes a group: %(group)s", "POST /Groups", body, keep=keep, group=name)

    def joins(self, names: Sequence[str], name: str, about: About = About.JOIN) -> Line:
        """Ana is put into a group."""
        body = self.change({"op": "add", "path": "members", "value": [self.member()]})
        ask = f"PATCH /Groups/{id_of(kept(names, name))}"
        return Line(about, "%(who)s puts Ana into the group: %(group)s", ask, body, person=KEPT, group=name)

    def member(self) -> Mapping[str, object]:
        """Ana as a member."""
        return {"value": ANA}

    def names_roles(self, *names: str) -> Line:
        """Ana's attribute `roles` says these names."""
        body = self.change({"op": "replace", "path": "roles", "value": [{"value": name} for name in names]})
        return _names(names, f"PATCH /Users/{ANA}", body)

    def leaves(self) -> Sequence[Line]:
        """Ana's assignment is taken away."""
        body = self.change({"op": "replace", "path": "active", "value": False})
        return [Line(About.DEACTIVATE, "%(who)s deactivates her", f"PATCH /Users/{ANA}", body, person=KEPT)]


class Okta(Dialect):
    """Okta, with `email` as the unique identifier field and PATCH as its catalogue's integrations have it."""

    name = "Okta"
    agent = "Okta SCIM Client 1.0.0"
    media_type = "application/scim+json; charset=UTF-8"

    def person(self, *, active: bool = True, family: str = FAMILY) -> Body:
        return {**super().person(active=active, family=family), "locale": "en-US", "groups": []}

    def page(self) -> Mapping[str, str]:
        return {"startIndex": "1", "count": "100"}

    def tests(self) -> Sequence[Line]:
        two = {"startIndex": "1", "count": "2"}
        return [
            Line(About.TEST, "%(who)s asks for the first two people", "GET /Users", query=two),
            Line(About.TEST, "%(who)s asks for the groups", "GET /Groups", query=self.page()),
        ]

    def looks_up(self) -> Line:
        query = {"filter": f'email eq "{NAME}"', **self.page()}
        return Line(About.LOOK_UP, "%(who)s looks whether Ana is there already, by email", "GET /Users", query=query)

    def comes(self) -> Sequence[Line]:
        *before, create = super().comes()
        read = Line(About.READ, "%(who)s reads her", f"GET /Users/{ANA}", person=KEPT)
        return [*before, create, read]

    def changes(self) -> Sequence[Line]:
        body = {**self.person(family=LATER), "id": ANA, "meta": {"resourceType": "User"}}
        return [Line(About.CHANGE, "%(who)s sends her whole, with another family name", f"PUT /Users/{ANA}", body)]

    def group(self, name: str) -> Body:
        return {"schemas": [GROUP], "displayName": name, "members": []}

    def member(self) -> Mapping[str, object]:
        return {"value": ANA, "display": NAME}

    def names_roles(self, *names: str) -> Line:
        body = {**self.person(), "id": ANA, "roles": [{"value": name} for name in names]}
        return _names(names, f"PUT /Users/{ANA}", body)

    def leaves(self) -> Sequence[Line]:
        body = self.change({"op": "replace", "value": {"active": False}})
        return [
            Line(About.DEACTIVATE, "%(who)s deactivates her, without a path", f"PATCH /Users/{ANA}", body, person=KEPT),
            Line(About.READ, "%(who)s reads her again", f"GET /Users/{ANA}", person=KEPT),
        ]


class Entra(Dialect):
    """Microsoft Entra ID: capital letters in `op`, texts for truth values, null for what is empty."""

    name = "Entra"
    media_type = "application/scim+json; charset=utf-8"

    def person(self, *, active: bool = True, family: str = FAMILY) -> Body:
        return {
            **super().person(active=active, family=family),
            "schemas": [USER, ENTERPRISE],
            "addresses": None,
            "phoneNumbers": None,
            "title": None,
            "manager": None,
            "meta": {"resourceType": "User"},
            "name": {"formatted": f"{GIVEN} {family}", "familyName": family, "givenName": GIVEN},
            "roles": [],
        }

    def change(self, *operations: Mapping[str, object]) -> Body:
        return {"Operations": [dict(each) for each in operations], "schemas": [PATCH_OP]}

    def tests(self) -> Sequence[Line]:
        people = {"filter": f'userName eq "{NOBODY}"'}
        groups = {"excludedAttributes": "members", "filter": f'displayName eq "{NOBODY}"'}
        return [
            Line(About.TEST, "%(who)s looks up a person whom nobody knows", "GET /Users", query=people),
            Line(About.TEST, "%(who)s looks up a group that nobody knows", "GET /Groups", query=groups),
            Line(About.TEST, "%(who)s reads the schemas", "GET /Schemas"),
        ]

    def changes(self) -> Sequence[Line]:
        body = self.change(
            {"op": "Replace", "path": "name.familyName", "value": LATER},
            {"op": "Add", "path": f"{ENTERPRISE}:department", "value": "Finance"},
        )
        return [Line(About.CHANGE, "%(who)s changes her family name", f"PATCH /Users/{ANA}", body, person=KEPT)]

    def finds_group(self, name: str) -> Line:
        query = {"excludedAttributes": "members", "filter": f'displayName eq "{quoted(name)}"'}
        return self.looks_for_group(name, query)

    def group(self, name: str) -> Body:
        schemas = [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"]
        return {"schemas": schemas, "displayName": name, "meta": {"resourceType": "Group"}}

    def joins(self, names: Sequence[str], name: str, about: About = About.JOIN) -> Line:
        body = self.change({"op": "Add", "path": "members", "value": [self.member()]})
        ask = f"PATCH /Groups/{id_of(kept(names, name))}"
        return Line(about, "%(who)s puts Ana into the group: %(group)s", ask, body, person=KEPT, group=name)

    def member(self) -> Mapping[str, object]:
        return {"$ref": None, "value": ANA}

    def names_roles(self, *names: str) -> Line:
        said = [{"value": name, "type": "WindowsAzureActiveDirectoryRole"} for name in names]
        body = self.change({"op": "Replace", "path": "roles", "value": said})
        return _names(names, f"PATCH /Users/{ANA}", body)

    def leaves(self) -> Sequence[Line]:
        body = self.change({"op": "Replace", "path": "active", "value": "False"})
        return [
            Line(About.DEACTIVATE, "%(who)s deactivates her, by a text", f"PATCH /Users/{ANA}", body, person=KEPT),
            self.looks_up(),
        ]


class OneLogin(Dialect):
    """OneLogin: people by PUT, after the template of its connector, which writes truth values as texts."""

    name = "OneLogin"
    media_type = "application/json"

    def person(self, *, active: bool = True, family: str = FAMILY) -> Body:
        return {
            **super().person(active=active, family=family),
            ENTERPRISE: {"department": "Finance", "manager": {"managerId": "4711", "displayName": "Uma Reed"}},
            "active": "true" if active else "false",
            "meta": {"resourceType": "User"},
            "title": "",
            "id": None,
        }

    def tests(self) -> Sequence[Line]:
        query = {"filter": 'userName eq "someone-who-is-not-there"'}
        return [Line(About.TEST, "%(who)s looks up somebody who is not there", "GET /Users", query=query)]

    def comes(self) -> Sequence[Line]:
        return [*super().comes(), Line(About.READ, "%(who)s reads her", f"GET /Users/{ANA}", person=KEPT)]

    def changes(self) -> Sequence[Line]:
        return [self.sends_her(self.person(family=LATER))]

    def finds_group(self, name: str) -> Line:
        return Line(About.LOOK_UP_GROUP, "%(who)s asks for all groups, for its own lists", "GET /Groups", group=name)

    def group(self, name: str) -> Body:
        return {"schemas": [GROUP], "displayName": name, "members": []}

    def names_roles(self, *names: str) -> Line:
        body = {**self.person(), "roles": list(names)}
        return _names(names, f"PUT /Users/{ANA}", body)

    def leaves(self) -> Sequence[Line]:
        body, ask = self.person(active=False), f"PUT /Users/{ANA}"
        suspend = Line(
            About.DEACTIVATE, "%(who)s suspends her: sends her whole, with active as a text", ask, body, person=KEPT
        )
        return [suspend, self.looks_up()]


class JumpCloud(Dialect):
    """JumpCloud, whose test of the connection makes somebody and a group, and removes both."""

    name = "JumpCloud"
    media_type = "application/json"

    def tests(self) -> Sequence[Line]:
        one = {"startIndex": "1", "count": "1"}
        probe = {**self.person(), "userName": "probe@rehearsal.example", "externalId": "rehearsal-0000"}
        group = {"schemas": [GROUP], "displayName": "JumpCloud probe"}
        member = [{"value": PROBE}]
        add = self.change({"op": "add", "path": "members", "value": member})
        remove = self.change({"op": "remove", "path": "members", "value": member})
        return [
            Line(About.TEST, "%(who)s asks for the first person", "GET /Users", query=one),
            Line(About.TEST, "%(who)s creates its Test User Email", "POST /Users", probe, keep="probe"),
            Line(About.TEST, "%(who)s reads that user", f"GET /Users/{PROBE}"),
            Line(About.TEST, "%(who)s makes a test group", "POST /Groups", group, keep="probes"),
            Line(About.TEST, "%(who)s puts the test user into it", f"PATCH /Groups/{PROBES}", add),
            Line(About.TEST, "%(who)s takes the test user out of it", f"PATCH /Groups/{PROBES}", remove),
            Line(About.REMOVE_GROUP, "%(who)s deletes the test group", f"DELETE /Groups/{PROBES}"),
            Line(About.TEST, "%(who)s deactivates the test user", f"PUT /Users/{PROBE}", {**probe, "active": False}),
            Line(About.REMOVE, "%(who)s deletes the test user", f"DELETE /Users/{PROBE}"),
        ]

    def changes(self) -> Sequence[Line]:
        return [self.sends_her(self.person(family=LATER))]


class Bridge(Dialect):
    """A bridge that reads Google's directory, in the shapes of one whose source is public (awslabs/ssosync)."""

    name = "The bridge"

    def person(self, *, active: bool = True, family: str = FAMILY) -> Body:
        told = dict(super().person(active=active, family=family))
        del told["externalId"]
        return {**told, "addresses": [{"type": "work"}]}

    def tests(self) -> Sequence[Line]:
        return []

    def changes(self) -> Sequence[Line]:
        return [self.sends_her({**self.person(family=LATER), "id": ANA})]

    def leaves(self) -> Sequence[Line]:
        body, ask = {**self.person(active=False), "id": ANA}, f"PUT /Users/{ANA}"
        return [Line(About.DEACTIVATE, "%(who)s says that she is suspended in Google", ask, body, person=KEPT)]


DIALECTS: Mapping[str, Dialect] = {
    "okta": Okta(),
    "entra": Entra(),
    "onelogin": OneLogin(),
    "jumpcloud": JumpCloud(),
    "google": Bridge(),
    "other": Dialect(),
}
"""Whose conversation can be rehearsed, by the keys of the set-up's guides."""


def conversation(dialect: Dialect, cast: Cast) -> Sequence[Chapter]:
    """All that a provider says, from the test of its connection to somebody who leaves."""
    chapters = [
        Chapter("The connection is tested", dialect.tests(), decides=True),
        Chapter("A person is assigned", dialect.comes(), decides=True),
        Chapter("Something about her changes", dialect.changes()),
        *(_by_groups(dialect, cast) if cast.by_groups else _by_attribute(dialect, cast)),
        Chapter(
            "The person leaves",
            [Look.SIGN_IN, *dialect.leaves(), Look.SIGNED_OUT, Look.RECEIPT],
        ),
    ]
    return [each for each in chapters if each.lines]


def _by_groups(dialect: Dialect, cast: Cast) -> Sequence[Chapter]:
    first, second = cast.first, cast.second
    torn = [] if second is None else [dialect.joins(cast.names, second, About.CONTRADICT)]
    return [
        Chapter("Groups are pushed", dialect.pushes(cast.names)),
        Chapter("She is put into a group", [dialect.joins(cast.names, first)]),
        Chapter("If a second group contradicts the first", torn),
    ]


def _by_attribute(dialect: Dialect, cast: Cast) -> Sequence[Chapter]:
    first, second = cast.first, cast.second
    torn = [] if second is None else [dialect.names_roles(first, second)]
    return [
        Chapter("Her attribute says a role", [dialect.names_roles(first)]),
        Chapter("If two roles contradict each other", torn),
    ]


def kept(names: Sequence[str], name: str) -> str:
    """Under which name a group's id is kept."""
    return f"group-{[*names].index(name)}"


def quoted(name: str) -> str:
    """A name as it stands between the quotes of a filter."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _names(names: Sequence[str], ask: str, body: Body) -> Line:
    """A call that gives somebody role names by their attribute; two contradict each other."""
    if len(names) == 1:
        return Line(About.JOIN, "%(who)s says %(name)s in her attribute roles", ask, body, person=KEPT, names=names)
    about = About.CONTRADICT
    return Line(
        about, "%(who)s says %(name)s and %(other)s in her attribute roles", ask, body, person=KEPT, names=names
    )
