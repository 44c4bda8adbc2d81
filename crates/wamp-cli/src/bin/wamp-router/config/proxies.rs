//! `[proxies]`.

use wamp_router::{ClientAddress, Proxies};

use super::document::Table;
use super::faults::Faults;
use super::fields::{At, Fields};
use super::settings::{self, Row, Value, row, words};

words! {
    ClientAddress: "x-forwarded-for" => ClientAddress::XForwardedFor, "forwarded" => ClientAddress::Forwarded,
    "proxy-protocol" => ClientAddress::ProxyProtocol
}

/// The settings beside the addresses.
pub(crate) fn rows(client: &mut ClientAddress) -> Vec<Row<'_>> {
    vec![row(
        "client_address",
        Value::Choice(client),
        "What tells the address of a client: the header \"x-forwarded-for\" or \"forwarded\", or \"proxy-protocol\".",
    )]
}

pub(crate) fn read(table: Table, faults: &mut Faults) -> Proxies {
    let mut fields = Fields::new(table, "[proxies]", faults);
    let mut client = ClientAddress::default();
    settings::read(&mut fields, rows(&mut client));
    let mut proxies = Proxies::new(client);
    for At { value, place } in
        fields.require::<Vec<At<String>>>("addresses").map(|at| at.value).unwrap_or_default()
    {
        if let Err(error) = proxies.add(&value) {
            fields.faults.error(&place, error.to_string());
        }
    }
    fields.finish();
    proxies
}
