"""The authorization server: tokens and their keys, client authentication, one file per flow."""
