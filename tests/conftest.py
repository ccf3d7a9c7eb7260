"""What all tests share."""

from hypothesis import settings

# A test says what must hold, not how fast: how long an example takes is the machine's business. What fails is printed
# so that it can be run again.
settings.register_profile("project", deadline=None, print_blob=True)
settings.load_profile("project")
