"""The rules of accounts and sessions; knows no database, no broker and no clock."""
