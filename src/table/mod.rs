//! Bounded memory: the forwarding database and what its entries point to.
