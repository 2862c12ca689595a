"""What Crossmint is told about a person, so that screening can pass them. All of it is personal data.

No field shows in `repr`, and no error names a value. Source: the users API (`PUT /users/{locator}`).
"""

from __future__ import annotations

from datetime import date

from pydantic import Field

from bursar.crossmint.writing import Country, Email, Name, Phone, Writing


class PostalAddress(Writing):
    """Where a person lives."""

    line1: Name = Field(repr=False)
    line2: Name | None = Field(default=None, repr=False)
    city: Name = Field(repr=False)
    state_or_region: Name | None = Field(default=None, repr=False)
    postal_code: Name = Field(repr=False)


class IdentityDocument(Writing):
    """A document that identifies a person."""

    type: Name = Field(repr=False)
    number: Name = Field(repr=False)
    issuing_country_code: Country = Field(repr=False)


class KycData(Writing):
    """What identity checks ask for beyond `UserDetails`."""

    address_of_residence: PostalAddress | None = Field(default=None, repr=False)
    email: Email | None = Field(default=None, repr=False)
    phone_number: Phone | None = Field(default=None, repr=False)
    nationality: Country | None = Field(default=None, repr=False)
    identity_document: IdentityDocument | None = Field(default=None, repr=False)


class UserDetails(Writing):
    """What a payout needs to know of its recipient. Country is ISO 3166-1 alpha-2. Personal data."""

    first_name: Name = Field(repr=False)
    last_name: Name = Field(repr=False)
    date_of_birth: date = Field(repr=False, ge=date(1900, 1, 1))
    country_of_residence: Country = Field(repr=False)


class UserRegistration(Writing):
    """Everything to be held about a user: registering replaces what was there before."""

    user_details: UserDetails
    kyc_data: KycData | None = None
