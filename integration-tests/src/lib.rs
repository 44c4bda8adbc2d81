//! The code of README.md and of the cookbook as doctests.

#![cfg_attr(doctest, doc = include_str!("../../README.md"))]
#![cfg_attr(doctest, doc = include_str!("../../examples/COOKBOOK.md"))]
