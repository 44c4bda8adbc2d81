//! The principals of a realm, and the choice among them when HELLO arrives.

use std::collections::BTreeMap;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use wamp_proto::message::HelloDetails;
use wamp_proto::{ByteString, uri};

use super::cryptosign::PublicKey;
use super::{Admission, DENIED, Denied, Exchange, Identity, Method, Offer, Principal};

/// The principals of a realm. Without any, and without [`anonymous`](Self::set_anonymous), the realm is open to
/// anonymous sessions; the first one closes it (behaviour [210](crate::behaviour#rule-210)).
#[derive(Clone, Debug, Default)]
pub struct Principals {
    /// The role of anonymous sessions.
    anonymous: Option<ByteString>,
    /// In the order of authids.
    principals: Vec<Principal>,
    /// The principal with this key; `None` if several have it.
    by_key: BTreeMap<[u8; 32], Option<ByteString>>,
    /// The first principal with a certificate of this fingerprint.
    by_certificate: BTreeMap<[u8; 32], ByteString>,
    is_closed: bool,
}

/// The result of HELLO.
#[derive(Debug)]
pub enum Begun {
    /// The client joins without a proof.
    Admitted(Admission),
    /// The client has to answer a CHALLENGE.
    Challenged(Box<Exchange>),
    /// The caller has to look up the principal, for this method.
    LookUp(Method),
}

impl Principals {
    /// No principals, in a realm that is open to anonymous sessions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Admits anonymous sessions, which have this role.
    pub fn set_anonymous(&mut self, role: impl Into<ByteString>) {
        self.anonymous = Some(role.into());
        self.close();
    }

    /// Closes the realm for sessions that no setting admits.
    pub fn close(&mut self) {
        self.is_closed = true;
    }

    /// Adds a principal. It replaces the one with the same authid.
    pub fn insert(&mut self, principal: Principal) {
        match self.position(&principal.authid) {
            Ok(index) => {
                self.principals[index] = principal;
                self.by_key.clear();
                self.by_certificate.clear();
                (0..self.principals.len()).for_each(|index| self.index(index));
            }
            Err(index) => {
                self.principals.insert(index, principal);
                self.index(index);
            }
        }
        self.close();
    }

    /// Adds the keys and certificates of a principal to the indexes.
    fn index(&mut self, index: usize) {
        let Principal { authid, keys, certificates, .. } = &self.principals[index];
        for key in keys {
            self.by_key
                .entry(*key.bytes())
                .and_modify(|of| *of = None)
                .or_insert_with(|| Some(authid.clone()));
        }
        for certificate in certificates {
            self.by_certificate.entry(*certificate).or_insert_with(|| authid.clone());
        }
    }

    /// Returns whether the realm is open to anonymous sessions, since authentication is not configured.
    pub fn are_open(&self) -> bool {
        !self.is_closed
    }

    /// Returns the number of principals.
    pub fn len(&self) -> usize {
        self.principals.len()
    }

    /// Returns whether there is no principal.
    pub fn is_empty(&self) -> bool {
        self.principals.is_empty()
    }

    /// Returns all principals, in the order of authids.
    pub fn iter(&self) -> impl Iterator<Item = &Principal> {
        self.principals.iter()
    }

    /// Returns the role of anonymous sessions; `None` if there are none.
    pub fn anonymous(&self) -> Option<ByteString> {
        match self.is_closed {
            true => self.anonymous.clone(),
            false => Some(Method::Anonymous.name()),
        }
    }

    /// Returns the methods by which a client may join.
    pub fn methods(&self) -> Vec<Method> {
        let has = |method: &Method| match method {
            Method::Anonymous => self.anonymous().is_some(),
            method => self.principals.iter().any(|principal| principal.has(*method)),
        };
        Method::ALL.into_iter().filter(has).collect()
    }

    /// Selects a method and a principal for a client, as the rules [202](crate::behaviour#rule-202) to
    /// [204](crate::behaviour#rule-204) say. `methods` are those of [`methods`](Self::methods); by the ones in `dynamic`
    /// further principals may join, which the caller looks up.
    ///
    /// # Errors
    /// The client offers no method of the realm for which HELLO has all details.
    pub fn begin(
        &self,
        methods: &[Method],
        dynamic: &[Method],
        details: &HelloDetails,
        offer: &Offer,
    ) -> Result<Begun, Denied> {
        let all = [methods, dynamic].concat();
        let mut fitting = fitting(details, &all, offer.certificate.is_some())?;
        let owner = self.owner(details, offer);
        fitting.retain(|method| *method != Method::Tls || owner.is_some() || dynamic.contains(method));
        let first = *fitting.first().ok_or(DENIED)?;
        if let (Method::Anonymous, Some(role)) = (first, self.anonymous()) {
            let identity = Identity::anonymous(role, offer.number());
            return Ok(Begun::Admitted(identity.into()));
        }
        let found = self.find(details).or(owner);
        // The lookup is done in either case, so that both take the same time.
        let shadow = self.shadow(details, offer);
        if found.is_none()
            && let Some(method) = fitting.iter().find(|method| dynamic.contains(method))
        {
            return Ok(Begun::LookUp(*method));
        }
        let principal = found.or(shadow);
        let has = |method: &&Method| principal.is_some_and(|principal| principal.has(**method));
        let method = *fitting.iter().find(has).unwrap_or(&first);
        match (method, owner) {
            (Method::Tls, Some(owner)) => {
                let (provider, session) = (offer.provider.clone(), Some(offer.session));
                return Ok(Begun::Admitted(owner.admit(method, details, provider, session)?));
            }
            (Method::Tls, None) => return Err(DENIED),
            _ => {}
        }
        let exchange = Exchange::begin(method, found.ok_or(shadow), details, offer)?;
        Ok(Begun::Challenged(Box::new(exchange)))
    }

    /// The principal to which the certificate of the link belongs.
    fn owner(&self, details: &HelloDetails, offer: &Offer) -> Option<&Principal> {
        let owner = self.get(self.by_certificate.get(&offer.certificate?)?)?;
        authid(details).is_none_or(|authid| *authid == owner.authid).then_some(owner)
    }

    /// Returns the principal that the client claims to be in HELLO.
    fn find(&self, details: &HelloDetails) -> Option<&Principal> {
        match authid(details) {
            Some(authid) => self.get(authid),
            None => self.get(self.by_key.get(presented(details)?.bytes())?.as_ref()?),
        }
    }

    /// Returns the principal with this authid.
    pub fn get(&self, authid: &ByteString) -> Option<&Principal> {
        self.position(authid).ok().map(|index| &self.principals[index])
    }

    /// Returns the shadow of an unknown client: the principal that it is treated like until its proof fails.
    /// It depends only on the authid.
    fn shadow(&self, details: &HelloDetails, offer: &Offer) -> Option<&Principal> {
        let mut mac = Hmac::<Sha256>::new_from_slice(offer.shadows.bytes()).expect("HMAC takes any key");
        mac.update(b"shadow");
        mac.update(authid(details).map_or(&[], |authid| authid.as_bytes()));
        let digest = mac.finalize().into_bytes();
        let (number, _) = digest.split_first_chunk::<8>().expect("it has 32 bytes");
        let count = self.principals.len().max(1) as u64;
        self.principals.get((u64::from_le_bytes(*number) % count) as usize)
    }

    fn position(&self, authid: &ByteString) -> Result<usize, usize> {
        self.principals.binary_search_by(|principal| principal.authid.cmp(authid))
    }
}

/// Returns those of these methods that a client offers and for which HELLO has all details, in the order of
/// the client, up to `anonymous` (behaviour [202](crate::behaviour#rule-202)).
///
/// # Errors
/// There is none.
pub fn fitting(
    details: &HelloDetails,
    methods: &[Method],
    has_certificate: bool,
) -> Result<Vec<Method>, Denied> {
    let offered = details.authmethods.as_deref().unwrap_or_default();
    let offered = if offered.is_empty() { &[Method::Anonymous.name()] } else { offered };
    let mut fitting = Vec::new();
    for method in offered.iter().filter_map(|name| Method::from_name(name)) {
        let fits = match method {
            Method::Anonymous => true,
            Method::Tls => has_certificate,
            Method::Ticket | Method::WampCra => authid(details).is_some(),
            Method::WampScram | Method::Scram => authid(details).is_some() && nonce(details).is_some(),
            Method::Cryptosign => authid(details).is_some() || presented(details).is_some(),
        };
        let is_first = !fitting.contains(&method) && (method != Method::Anonymous || fitting.is_empty());
        if fits && is_first && methods.contains(&method) {
            fitting.push(method);
            if method == Method::Anonymous {
                break;
            }
        }
    }
    if fitting.is_empty() {
        let text = "this realm accepts none of the authentication methods that the client offers";
        return Err(Denied { reason: uri::NO_MATCHING_AUTH_METHOD, text });
    }
    Ok(fitting)
}

/// The authid in HELLO; an empty one is none.
pub(super) fn authid(details: &HelloDetails) -> Option<&ByteString> {
    details.authid.as_ref().filter(|authid| !authid.is_empty())
}

/// The nonce of SCRAM in HELLO: 4 to 256 characters of base64.
pub(super) fn nonce(details: &HelloDetails) -> Option<String> {
    let nonce = details.authextra.as_ref()?.text("nonce")?;
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    Some(nonce).filter(|nonce| (4..=256).contains(&nonce.len()) && nonce.bytes().all(is_base64))
}

/// The key of `cryptosign` in HELLO.
pub(super) fn presented(details: &HelloDetails) -> Option<PublicKey> {
    PublicKey::from_hex(&details.authextra.as_ref()?.text("pubkey")?).ok()
}
