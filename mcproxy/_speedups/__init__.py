"""Everything compiled. Import the public names from `mcproxy`, not from here."""
