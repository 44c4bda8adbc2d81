//! The code of README.md as doctests.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
