//! Collections and health.

use qdrant_client::qdrant::collections_server::Collections;
use qdrant_client::qdrant::qdrant_server::Qdrant;
use qdrant_client::qdrant::vectors_config::Config;
use qdrant_client::qdrant::{
    CollectionConfig, CollectionDescription, CollectionExists, CollectionExistsRequest,
    CollectionExistsResponse, CollectionInfo, CollectionOperationResponse, CollectionParams,
    CollectionStatus, CreateCollection, DeleteCollection, Distance, GetCollectionInfoRequest,
    GetCollectionInfoResponse, HealthCheckReply, HealthCheckRequest, ListCollectionsRequest,
    ListCollectionsResponse, VectorParams, VectorsConfig,
};
use tonic::{Request, Response, Status};

use super::{Collection, Points, unimplemented_methods};

#[tonic::async_trait]
impl Collections for Points {
    async fn create(
        &self,
        request: Request<CreateCollection>,
    ) -> Result<Response<CollectionOperationResponse>, Status> {
        let request = request.into_inner();
        let params = match request.vectors_config.and_then(|vectors| vectors.config) {
            Some(Config::Params(params)) if params.distance() == Distance::Cosine => params,
            _ => return Err(Status::unimplemented("one unnamed cosine vector only")),
        };
        let mut collections = self.0.lock();
        let name = request.collection_name;
        if collections.contains_key(&name) {
            return Err(Status::already_exists(format!("Wrong input: Collection `{name}` already exists!")));
        }
        collections.insert(name, Collection { dimensions: params.size, ..Collection::default() });
        Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn get(
        &self,
        request: Request<GetCollectionInfoRequest>,
    ) -> Result<Response<GetCollectionInfoResponse>, Status> {
        self.with(&request.into_inner().collection_name, |collection| {
            let vectors = VectorParams {
                size: collection.dimensions,
                distance: Distance::Cosine.into(),
                ..VectorParams::default()
            };
            let vectors = VectorsConfig { config: Some(Config::Params(vectors)) };
            let params = CollectionParams { vectors_config: Some(vectors), ..CollectionParams::default() };
            let info = CollectionInfo {
                status: CollectionStatus::Green.into(),
                points_count: Some(collection.points.len() as u64),
                config: Some(CollectionConfig { params: Some(params), ..CollectionConfig::default() }),
                ..CollectionInfo::default()
            };
            Ok(Response::new(GetCollectionInfoResponse { result: Some(info), time: 0.0 }))
        })
    }

    async fn collection_exists(
        &self,
        request: Request<CollectionExistsRequest>,
    ) -> Result<Response<CollectionExistsResponse>, Status> {
        let exists = self.0.lock().contains_key(&request.into_inner().collection_name);
        Ok(Response::new(CollectionExistsResponse { result: Some(CollectionExists { exists }), time: 0.0 }))
    }

    async fn list(
        &self,
        _: Request<ListCollectionsRequest>,
    ) -> Result<Response<ListCollectionsResponse>, Status> {
        let names = self.0.lock().keys().cloned().collect::<Vec<_>>();
        let collections = names.into_iter().map(|name| CollectionDescription { name }).collect();
        Ok(Response::new(ListCollectionsResponse { collections, time: 0.0 }))
    }

    async fn delete(
        &self,
        request: Request<DeleteCollection>,
    ) -> Result<Response<CollectionOperationResponse>, Status> {
        let result = self.0.lock().remove(&request.into_inner().collection_name).is_some();
        Ok(Response::new(CollectionOperationResponse { result, time: 0.0 }))
    }

    unimplemented_methods! {
        update: UpdateCollection => CollectionOperationResponse,
        update_aliases: ChangeAliases => CollectionOperationResponse,
        list_collection_aliases: ListCollectionAliasesRequest => ListAliasesResponse,
        list_aliases: ListAliasesRequest => ListAliasesResponse,
        collection_cluster_info: CollectionClusterInfoRequest => CollectionClusterInfoResponse,
        update_collection_cluster_setup: UpdateCollectionClusterSetupRequest => UpdateCollectionClusterSetupResponse,
        create_shard_key: CreateShardKeyRequest => CreateShardKeyResponse,
        delete_shard_key: DeleteShardKeyRequest => DeleteShardKeyResponse,
        list_shard_keys: ListShardKeysRequest => ListShardKeysResponse,
    }
}

#[tonic::async_trait]
impl Qdrant for Points {
    async fn health_check(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckReply>, Status> {
        let title = "qdrant - vector search engine".to_owned();
        Ok(Response::new(HealthCheckReply { title, version: "1.20.0".to_owned(), commit: None }))
    }
}
