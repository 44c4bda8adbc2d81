//! A configuration as TOML: for `check --print` and `init`.

use std::fmt::Write;

use wamp_router::TlsMode;

use super::{Config, admin, limits, proxies, realms, settings};

impl Config {
    /// Returns the configuration as TOML. With `explained`, every setting is a comment below a line about it.
    pub(crate) fn to_toml(&self, explained: bool) -> String {
        let mut out = String::new();
        let mark = if explained { "#" } else { "" };
        let about = |out: &mut String, line: &str| {
            let _ = if explained { writeln!(out, "# {line}") } else { Ok(()) };
        };
        about(
            &mut out,
            "Configuration of wamp-router. Lines that begin with #, without a space, show the defaults.",
        );
        about(
            &mut out,
            "Check it with `wamp-router check FILE`, and use it with `wamp-router --config FILE`.",
        );
        if explained {
            out.push('\n');
        }
        about(
            &mut out,
            "Addresses: HOST:PORT (port 0: any free port), unix:///path, or \"systemd\" for the sockets of its socket unit.",
        );
        let _ = writeln!(out, "listen = {:?}", self.listen);
        let (mut anonymous_on_public, mut shutdown) = (self.allow_anonymous_on_public, self.shutdown);
        settings::write(&mut out, limits::of_program(&mut anonymous_on_public, &mut shutdown), explained);
        about(
            &mut out,
            "Web pages from which browsers may connect, beside those of the same host, as \"https://app.example\"; \"*\": all.",
        );
        let any = self.origins.are_any().then(|| "*".to_owned());
        let origins: Vec<String> = any.into_iter().chain(self.origins.others().iter().cloned()).collect();
        let _ = writeln!(out, "{mark}allowed_origins = {origins:?}");
        self.write_proxies(&mut out, explained);
        let _ = writeln!(out, "\n{mark}[log]");
        about(&mut out, "Level: error, warn, info, debug, trace, or a filter such as wamp_router=debug.");
        let _ = writeln!(out, "{mark}filter = {:?}", self.log);
        settings::write(&mut out, limits::of_log(&mut self.log_format.clone()), explained);
        self.write_tls(&mut out, explained);
        admin::write(&mut out, self.admin.as_ref(), explained);
        let _ = writeln!(out, "\n{mark}[limits]");
        settings::write(&mut out, limits::of_links(&mut self.limits.clone()), explained);
        for realm in &self.realms {
            realms::write(&mut out, realm, explained);
        }
        out
    }

    fn write_proxies(&self, out: &mut String, explained: bool) {
        let addresses = self.proxies.addresses();
        if addresses.is_empty() && !explained {
            return;
        }
        let mark = if explained { "#" } else { "" };
        let _ = writeln!(out, "\n{mark}[proxies]");
        if explained {
            out.push_str(
                "# Proxies that are believed about the address of a client, as \"10.0.0.7\" or \"10.0.0.0/8\"; \"unix\": over Unix\n\
                 # sockets.\n",
            );
        }
        let _ = writeln!(out, "{mark}addresses = {addresses:?}");
        settings::write(out, proxies::rows(&mut self.proxies.client()), explained);
    }

    fn write_tls(&self, out: &mut String, explained: bool) {
        let is_optional = self.tls_mode == TlsMode::Optional;
        if let Some(files) = &self.tls {
            let _ = writeln!(out, "\n[tls]\n{files}optional = {is_optional}");
        } else if explained {
            out.push_str(
                "\n# Certificate and key for wss:// and rss://, in PEM. Paths are relative to the folder of this file.\n\
                 #[tls]\n#certificate = \"fullchain.pem\"\n#key = \"privkey.pem\"\n\
                 # Authorities of client certificates. Every client has to show one.\n#client_ca = \"clients.pem\"\n\
                 # Serve ws:// and rs:// on the same port too.\n#optional = false\n",
            );
        }
    }
}
