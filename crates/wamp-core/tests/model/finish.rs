//! The end of a world: everything is delivered and answered, all clients leave, and nothing may remain.

use crate::client::End;
use crate::coverage::Coverage;
use crate::dealer::Standing;
use crate::ledger::Broken;
use crate::step::Step;
use crate::world::World;

impl World {
    /// Delivers and answers everything, and lets all clients leave. Nothing may remain.
    pub fn finish(&mut self, cover: &mut Coverage) -> Result<(), Broken> {
        self.read_on(cover)?;
        self.drain(cover)?;
        self.ledger.finished()?;
        for client in 0..self.clients.len() {
            if let End::Session(session, endpoint) = &self.clients[client].end
                && (session.in_flight(), endpoint.in_flight()) != ((0, 0), (0, 0))
            {
                return Err(format!("13: client {client} still holds {:?}", session.in_flight()));
            }
        }
        if self.realm.sizes().calls > 0 {
            return Err(format!("13: the realm still holds {:?}", self.realm.sizes()));
        }
        for client in 0..self.clients.len() {
            self.step(&Step::Leave { client }, cover)?;
        }
        self.drain(cover)?;
        for client in 0..self.clients.len() {
            // A client that does not answer GOODBYE has been waited for. A client that never sends one is cut
            // off.
            self.step(&Step::Cut { client }, cover)?;
        }
        self.drain(cover)?;
        let sizes = self.realm.sizes();
        let left =
            [sizes.sessions, sizes.calls, sizes.registrations, sizes.topics, sizes.deadlines, sizes.starved];
        if left != [0; 6] || (sizes.loads, sizes.kept_bytes) != (0, 0) {
            return Err(format!("13: all clients have left, but the realm still holds {sizes:?}"));
        }
        for (client, state) in self.clients.iter().enumerate() {
            if let End::Session(session, _) = &state.end
                && (!session.is_closed() || session.in_flight() != (0, 0) || session.poll_timeout().is_some())
            {
                return Err(format!("13: client {client} has left but still holds something"));
            }
        }
        Ok(())
    }

    /// Every application goes on reading, and none sends: then every sender gets the credit that it waits
    /// for.
    fn read_on(&mut self, cover: &mut Coverage) -> Result<(), Broken> {
        for client in 0..self.clients.len() {
            self.step(&Step::Release { client }, cover)?;
        }
        loop {
            while self.settle(cover)? | self.take_all(cover)? {}
            let mut waiting: Vec<_> = self.clients.iter().map(|client| client.waiting()).collect();
            for (client, streams) in waiting.iter_mut().enumerate() {
                streams.retain(|_| self.dealer.standing(client) == Standing::Open);
            }
            let rogue = self.clients.iter().any(|client| client.kind.rogue);
            if waiting.iter().all(Vec::is_empty) || rogue {
                return Ok(());
            }
            if !self.clients.iter().any(|client| client.has_delayed()) {
                return Err(format!("19: {waiting:?} wait for credit that no receiver will grant"));
            }
            self.step(&Step::Tick, cover)?;
            self.expire_all(cover)?;
        }
    }

    fn expire_all(&mut self, cover: &mut Coverage) -> Result<(), Broken> {
        self.step(&Step::Expire { client: None }, cover)?;
        for client in 0..self.clients.len() {
            self.step(&Step::Expire { client: Some(client) }, cover)?;
        }
        Ok(())
    }

    fn drain(&mut self, cover: &mut Coverage) -> Result<(), Broken> {
        loop {
            let mut moved = self.settle(cover)? | self.take_all(cover)?;
            for client in 0..self.clients.len() {
                moved |= self.answer_all(client, cover)?;
            }
            if !moved {
                if !self.step(&Step::Tick, cover)? {
                    return Ok(());
                }
                self.expire_all(cover)?;
            }
        }
    }
}
