//! tollgate-accounting
