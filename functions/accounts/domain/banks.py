"""The banks whose accounts can be linked. They are fictional and have stable ids."""

from typing import NamedTuple


class Bank(NamedTuple):
    """A bank of the catalog. `country` is an ISO 3166-1 alpha-2 code."""

    id: str
    name: str
    country: str

    @property
    def logo_url(self) -> str:
        """The URL of the bank's logo."""
        return f"https://assets.remit.example/banks/{self.id}.svg"


BANKS: dict[str, Bank] = {
    bank.id: bank
    for bank in (
        Bank("alpine-kantonal", "Alpine Kantonal", "CH"),
        Bank("banque-riviere", "Banque Rivière", "FR"),
        Bank("casa-lusitana", "Casa Lusitana", "PT"),
        Bank("cassa-aurelia", "Cassa Aurelia", "IT"),
        Bank("gulf-pearl", "Gulf Pearl Bank", "BH"),
        Bank("harbour-mutual", "Harbour Mutual", "GB"),
        Bank("hanse-bank", "Hanse Bank", "DE"),
        Bank("meseta-caja", "Meseta Caja", "ES"),
        Bank("nordlys-bank", "Nordlys Bank", "NO"),
        Bank("polder-bank", "Polder Bank", "NL"),
        Bank("shamrock-savings", "Shamrock Savings", "IE"),
        Bank("vistula-bank", "Vistula Bank", "PL"),
    )
}
