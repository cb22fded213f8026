"""Proxies of a few lines that others might write; the benchmark puts them beside mcproxy."""
