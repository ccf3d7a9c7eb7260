"""number-verification: whose phone number is behind this connection?"""

__version__ = "0.1.0"
