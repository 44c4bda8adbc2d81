use crate::net::*;
