//! Numbers in, a score out.
