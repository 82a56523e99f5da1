//! tollgate-cache-service
