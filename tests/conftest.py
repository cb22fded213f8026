"""What all tests share."""

from hypothesis import settings

# No deadline: how long an example takes says more about the machine than about the code.
settings.register_profile("mcproxy", deadline=None, print_blob=True)
settings.register_profile("quick", settings.get_profile("mcproxy"), max_examples=20)
settings.load_profile("mcproxy")
