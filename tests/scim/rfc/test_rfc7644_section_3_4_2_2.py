"""RFC 7644 §3.4.2.2: the examples of filters that concern Users."""

import pytest

from rollcall.scim.filters import read_filter

EXAMPLES = [
    'userName eq "bjensen"',
    'name.familyName co "O\'Malley"',
    'userName sw "J"',
    'urn:ietf:params:scim:schemas:core:2.0:User:userName sw "J"',
    "title pr",
    'meta.lastModified gt "2011-05-13T04:42:34Z"',
    'meta.lastModified ge "2011-05-13T04:42:34Z"',
    'meta.lastModified lt "2011-05-13T04:42:34Z"',
    'meta.lastModified le "2011-05-13T04:42:34Z"',
    'title pr and userType eq "Employee"',
    'title pr or userType eq "Intern"',
    'schemas eq "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"',
    'userType eq "Employee" and (emails co "example.com" or emails.value co "example.org")',
    'userType ne "Employee" and not (emails co "example.com" or emails.value co "example.org")',
    'userType eq "Employee" and (emails.type eq "work")',
    'userType eq "Employee" and emails[type eq "work" and value co "@example.com"]',
    'emails[type eq "work" and value co "@example.com"] or ims[type eq "xmpp" and value co "@foo.com"]',
]


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_are_read(text: str) -> None:
    """Every example is understood, and its standard form is its own standard form."""
    tree = read_filter(text)
    assert read_filter(str(tree)) == tree


def test_precedence() -> None:
    """`not` binds before `and`, and `and` before `or`."""
    loose = read_filter('not (title pr) and active eq true or userType eq "Intern"')
    tight = read_filter('((not (title pr)) and active eq true) or (userType eq "Intern")')
    assert loose == tight
    assert loose != read_filter('not (title pr) and (active eq true or userType eq "Intern")')
