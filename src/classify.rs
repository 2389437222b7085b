//! A server's reply becomes a finding. The page to audit.
