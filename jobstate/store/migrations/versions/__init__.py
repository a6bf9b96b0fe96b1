"""Migrations, one file each; the SQL stands beside it."""
