"""Tests of the page for administrators in a real browser, with answers of a service that are made here."""
