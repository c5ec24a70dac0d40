"""What to do at each identity provider, by the names that its own pages use.

In a line, ``**so**`` marks the name of a field, a button or a tab as it is written there.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from markupsafe import Markup, escape

from rollcall.console.words import gettext, mark


class Value(StrEnum):
    """What of ours is to be pasted there."""

    ADDRESS = "address"
    TOKEN = "token"  # noqa: S105  # the name of a value


@dataclass(frozen=True, slots=True)
class Step:
    """One page of the provider: what to do there, and what to paste into which field."""

    title: str
    before: tuple[str, ...] = ()
    paste: tuple[tuple[Value, str], ...] = ()
    """What of ours, and the field it is for."""
    after: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Guide:
    """How one provider is set up."""

    key: str
    name: str
    about: str
    steps: tuple[Step, ...]


def marked(line: str) -> Markup:
    """A line with the provider's own names set apart."""
    parts = re.split(r"\*\*(.+?)\*\*", gettext(line))
    said = (Markup("<b>{}</b>").format(part) if place % 2 else escape(part) for place, part in enumerate(parts))
    return Markup("").join(said)


_TEST = Step(
    mark("Try it with one person"),
    after=(
        (
            mark(
                "Assign one test person, with a group or role whose name means a role here. The list under Set-up "
                "ticks itself as their data comes in."
            )
        ),
        mark("Then take the assignment away again: within seconds they are out, and a receipt proves it."),
    ),
)

GUIDES = (
    Guide(
        "okta",
        "Okta",
        mark("A SCIM or SAML app integration"),
        (
            Step(
                mark("Switch SCIM on for the app"),
                (
                    mark("In the admin console open **Applications**, and the app for this product."),
                    (
                        mark(
                            "On the tab **General** choose **Edit** beside **App Settings**, tick **Enable SCIM "
                            "provisioning**, and **Save**."
                        )
                    ),
                ),
            ),
            Step(
                mark("Enter the connection"),
                (mark("Open the tab **Provisioning**, then **Integration** at the left, and choose **Edit**."),),
                ((Value.ADDRESS, "SCIM connector base URL"), (Value.TOKEN, "Authorization")),
                (
                    mark("**Unique identifier field for users**: type email."),
                    (
                        mark(
                            "**Supported provisioning actions**: tick **Push New Users** and **Push Profile "
                            "Updates**, and "
                            "**Push Groups** as well if groups carry your roles. Leave the others alone."
                        )
                    ),
                    mark("**Authentication Mode**: choose **HTTP Header**, and paste the token alone, without Bearer."),
                    mark("Choose **Test Connector Configuration**, then **Save**."),
                ),
            ),
            Step(
                mark("Let Okta send changes"),
                (
                    mark("Still under **Provisioning** open **To App** and choose **Edit**."),
                    mark("Tick **Create Users**, **Update User Attributes** and **Deactivate Users**, and **Save**."),
                ),
            ),
            _TEST,
        ),
    ),
    Guide(
        "entra",
        "Microsoft Entra ID",
        mark("An enterprise application"),
        (
            Step(
                mark("Open the application"),
                (
                    (
                        mark(
                            "In the Entra admin center open **Enterprise applications**. Without an application for "
                            "this "
                            "product: **New application**, **Create your own application**, name it, **Create**."
                        )
                    ),
                ),
            ),
            Step(
                mark("Enter the connection"),
                (mark("Choose **Provisioning**, and set **Provisioning Mode** to **Automatic**."),),
                ((Value.ADDRESS, "Tenant URL"), (Value.TOKEN, "Secret Token")),
                (
                    mark("Paste the token alone: Entra adds the word Bearer itself."),
                    mark(
                        "Choose **Test Connection**. When it says that the credentials are authorised, choose **Save**."
                    ),
                ),
            ),
            Step(
                mark("Choose who comes"),
                (
                    mark("Under **Users and groups** add the people and groups that are to have access."),
                    (
                        mark(
                            "Under **Provisioning** set **Provisioning Status** to **On**. Entra sends changes every "
                            "40 "
                            "minutes; **Provision on demand** sends one person at once."
                        )
                    ),
                ),
            ),
            _TEST,
        ),
    ),
    Guide(
        "onelogin",
        "OneLogin",
        mark("SCIM Provisioner with SAML"),
        (
            Step(
                mark("Add the connector"),
                (
                    mark(
                        "Under **Applications** choose **Add App**, and look for **SCIM Provisioner with SAML (SCIM "
                        "v2)**."
                    ),
                ),
            ),
            Step(
                mark("Enter the connection"),
                (mark("Open **Configuration**."),),
                ((Value.ADDRESS, "SCIM Base URL"), (Value.TOKEN, "SCIM Bearer Token")),
                (mark("Beside **API Status** choose **Enable**, then **Save**."),),
            ),
            Step(
                mark("Let OneLogin send changes"),
                (
                    mark("Open **Provisioning**, and tick **Enable provisioning**."),
                    (
                        mark(
                            "For users who are deleted or lose access choose **Suspend**: they are deactivated, and "
                            "their "
                            "history is kept."
                        )
                    ),
                ),
            ),
            _TEST,
        ),
    ),
    Guide(
        "jumpcloud",
        "JumpCloud",
        mark("A custom application with SCIM"),
        (
            Step(
                mark("Open the application"),
                (
                    mark(
                        "Under **SSO Applications** open the one for this product, and its tab **Identity Management**."
                    ),
                ),
            ),
            Step(
                mark("Enter the connection"),
                (mark("**API Type**: choose **SCIM API**. **SCIM Version**: choose **SCIM 2.0**."),),
                ((Value.ADDRESS, "Base URL"), (Value.TOKEN, "Token Key")),
                (
                    mark("**Test User Email**: an address that nobody has; the test creates and removes it."),
                    mark("Choose **Test Connection**, then **Activate**."),
                ),
            ),
            Step(
                mark("Choose who comes"),
                (mark("On the tab **User Groups** tick the groups that are to have access, and **Save**."),),
            ),
            _TEST,
        ),
    ),
    Guide(
        "google",
        "Google Workspace",
        mark("Through a provisioning bridge"),
        (
            Step(
                mark("Have a bridge"),
                (
                    (
                        mark(
                            "Google Workspace sends changes to its own catalogue of apps. A provisioning bridge "
                            "reads your "
                            "directory and speaks SCIM to us: ask your vendor which one they know to work."
                        )
                    ),
                ),
            ),
            Step(
                mark("Enter the connection in the bridge"),
                (),
                ((Value.ADDRESS, "SCIM endpoint"), (Value.TOKEN, "Bearer token")),
                (mark("Map the primary email to **userName**, and the groups that carry roles to **groups**."),),
            ),
            _TEST,
        ),
    ),
    Guide(
        "other",
        mark("Another provider"),
        mark("Anything that speaks SCIM 2.0"),
        (
            Step(
                mark("Enter the connection"),
                (mark("Look for provisioning or SCIM in your provider's settings for this product."),),
                ((Value.ADDRESS, "SCIM base URL"), (Value.TOKEN, "Bearer token")),
                (mark("The method is a bearer token in the header **Authorization**."),),
            ),
            Step(
                mark("Map the fields"),
                (
                    mark("**userName** identifies a person; most use the email address."),
                    (
                        mark(
                            "**name.givenName**, **name.familyName** and **emails** are read; roles are **roles** or "
                            "the names of groups."
                        )
                    ),
                ),
            ),
            _TEST,
        ),
    ),
)

BY_KEY = {guide.key: guide for guide in GUIDES}
