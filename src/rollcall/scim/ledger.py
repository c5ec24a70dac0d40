"""The ledger in the words of the provider it is about: what it does otherwise than the standard, and what ends that.

What ends it is one setting at the provider, by the names its own pages have. Where there is none, none is said.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from rollcall.scim.profiles import DEVIATIONS
from rollcall.scim.providers import PROFILES
from rollcall.scim.values import WITHIN_THE_STANDARD, Deviation

_FLAG: Final = 'Provisioning > Admin Credentials: add "?aadOptscim062020" to the Tenant URL'
_SINGLE_ROLE: Final = (
    'Provisioning > Mappings: map SingleAppRoleAssignment([appRoleAssignments]) to roles[primary eq "True"].value'
)
_TEMPLATE: Final = "Configuration > SCIM JSON Template: "
_NAMES: Final = "rename the group, or the role, to one that the tenant's role rule knows"


@dataclass(frozen=True, slots=True)
class _Words:
    does: str
    setting: str | None = None


_SAID: Final[Mapping[tuple[str, Deviation], _Words]] = MappingProxyType(
    {
        ("entra", Deviation.STRING_BOOLEAN): _Words(
            'it writes true and false as the texts "True" and "False" (RFC 7643 §2.3.2)', _FLAG
        ),
        ("entra", Deviation.CAPITALISED_OP): _Words(
            "it writes Add, Replace and Remove, which the standard has in lower case (RFC 7644 §3.5.2)", _FLAG
        ),
        ("entra", Deviation.REMOVE_WITH_VALUE): _Words(
            "it takes members out by a list, where the standard has a filter in the path (RFC 7644 §3.5.2.2)", _FLAG
        ),
        ("entra", Deviation.PATH_IN_KEY): _Words(
            "it writes paths as the keys of a value, such as name.givenName, as it does with ?aadOptscim062020",
            'Provisioning > Admin Credentials: take "?aadOptscim062020" out of the Tenant URL; booleans are texts then',
        ),
        ("entra", Deviation.JSON_IN_STRING): _Words("it puts a role as JSON into a text", _SINGLE_ROLE),
        ("entra", Deviation.ROLE_DETAILS): _Words("it sends a role's id and displayName with it", _SINGLE_ROLE),
        ("entra", Deviation.EMPTY_STRING): _Words(
            "it sends an empty text for what it has no value of",
            "Provisioning > Mappings: put IgnoreFlowIfNullOrEmpty(...) around the expression of this attribute",
        ),
        ("entra", Deviation.NO_URN): _Words(
            "it names an attribute of the enterprise extension without its URN",
            "Provisioning > Mappings > Edit attribute list: begin its name with "
            "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:",
        ),
        ("entra", Deviation.UNKNOWN_ATTRIBUTE): _Words(
            "it sends an attribute that nobody declares",
            "Provisioning > Mappings: delete the mapping of this attribute",
        ),
        ("okta", Deviation.PASSWORD): _Words(
            "it sends a random password with each new person, which is never kept",
            'Provisioning > To App > Create Users: untick "Set password when creating new users"',
        ),
        ("okta", Deviation.UNKNOWN_ATTRIBUTE): _Words(
            "it sends an attribute that nobody declares",
            "Provisioning > To App > Attribute Mappings: remove the mapping of this attribute",
        ),
        ("onelogin", Deviation.STRING_BOOLEAN): _Words(
            "its template writes true and false as texts",
            _TEMPLATE + "take the quotes off around the value of this attribute",
        ),
        ("onelogin", Deviation.ONE_FOR_LIST): _Words(
            "its template has one value where a list belongs", _TEMPLATE + "put [ ] around the value of this attribute"
        ),
        ("onelogin", Deviation.LIST_FOR_ONE): _Words(
            "its template has a list where one value belongs", _TEMPLATE + "take the [ ] off around the value"
        ),
        ("onelogin", Deviation.BARE_STRING): _Words(
            "its template has a text where an object belongs", _TEMPLATE + 'write {"value": ...} for this attribute'
        ),
        ("onelogin", Deviation.NO_SCHEMAS): _Words(
            "its template says nothing of the schemas",
            _TEMPLATE + 'add "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"]',
        ),
        ("onelogin", Deviation.NO_URN): _Words(
            "its template has an attribute of the enterprise extension by itself",
            _TEMPLATE + 'put it under "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"',
        ),
        ("onelogin", Deviation.READ_ONLY_PART): _Words(
            "its template names what is not the provider's to say", _TEMPLATE + "delete the line of this attribute"
        ),
        ("onelogin", Deviation.EMPTY_STRING): _Words(
            "its template leaves an empty text where there is no value", _TEMPLATE + "delete the line of this attribute"
        ),
        ("onelogin", Deviation.UNKNOWN_ATTRIBUTE): _Words(
            "its template has an attribute that nobody declares", _TEMPLATE + "delete the line of this attribute"
        ),
        ("onelogin", Deviation.UNKNOWN_SCHEMA): _Words(
            "its template has a schema that nobody declares", _TEMPLATE + "delete this schema with all under it"
        ),
        ("jumpcloud", Deviation.UNKNOWN_ATTRIBUTE): _Words(
            "it sends an attribute that nobody declares",
            "SSO Applications > Identity Management > attribute mapping: remove this attribute",
        ),
    }
)
"""What is said otherwise of one provider than of any."""

_ALL: Final = frozenset(map(str, Deviation))


@dataclass(frozen=True, slots=True)
class Told:
    """A line of the ledger in words."""

    provider: str | None
    """What the provider is called, if it is known."""
    does: str
    read_as: str
    setting: str | None
    """The one setting at the provider that ends it; None if there is none that we know of."""
    within_the_standard: bool
    """Whether the standard allows it all the same."""


def tell(deviation: str, provider: str | None) -> Told | None:
    """Say a line of the ledger of this provider, the key of a profile; None for one that no table knows."""
    name = deviation.partition(":")[0]
    if name not in _ALL:
        return None
    deviation = Deviation(name)
    line = DEVIATIONS[deviation]
    words = _SAID.get((provider or "", deviation)) or _Words(f"it sends {line.sends}")
    setting = words.setting or (_NAMES if deviation is Deviation.UNKNOWN_ROLE else None)
    label = None if provider is None else PROFILES[provider].label
    return Told(label, words.does, line.read_as, setting, deviation in WITHIN_THE_STANDARD)
