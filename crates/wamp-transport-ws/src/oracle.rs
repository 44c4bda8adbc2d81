//! `tungstenite` as a judge.
