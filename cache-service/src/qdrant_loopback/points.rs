//! Points: writing, finding, counting, removing.

use std::cmp::Ordering;

use qdrant_client::qdrant::points_selector::PointsSelectorOneOf;
use qdrant_client::qdrant::points_server::Points as PointsService;
use qdrant_client::qdrant::{
    CountPoints, CountResponse, CountResult, CreateFieldIndexCollection, DeletePoints, Direction, Filter,
    GetPoints, GetResponse, OrderBy, PointStruct, PointsOperationResponse, QueryPoints, QueryResponse,
    RetrievedPoint, ScoredPoint, ScrollPoints, ScrollResponse, UpdateResult, UpdateStatus, UpsertPoints,
    query, vector, vector_input, vectors,
};
use tonic::{Request, Response, Status};

use super::filter::{number, obeys};
use super::{Collection, Point, Points, key, unimplemented_methods};

#[tonic::async_trait]
impl PointsService for Points {
    async fn upsert(
        &self,
        request: Request<UpsertPoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let points = request.points.into_iter().map(|point| to_point(point, collection.dimensions));
            for point in points.collect::<Result<Vec<_>, _>>()? {
                collection.points.insert(key(&point.id)?, point);
            }
            Ok(completed())
        })
    }

    async fn delete(
        &self,
        request: Request<DeletePoints>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        let request = request.into_inner();
        let selector = request.points.and_then(|points| points.points_selector_one_of);
        self.with(&request.collection_name, |collection| {
            match selector {
                Some(PointsSelectorOneOf::Points(list)) => {
                    for id in &list.ids {
                        collection.points.remove(&key(id)?);
                    }
                }
                Some(PointsSelectorOneOf::Filter(filter)) => {
                    let gone = collection.select(Some(&filter))?.into_iter().map(|point| key(&point.id));
                    for key in gone.collect::<Result<Vec<_>, _>>()? {
                        collection.points.remove(&key);
                    }
                }
                None => return Err(Status::invalid_argument("nothing is selected")),
            }
            Ok(completed())
        })
    }

    async fn get(&self, request: Request<GetPoints>) -> Result<Response<GetResponse>, Status> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let keys = request.ids.iter().map(key).collect::<Result<Vec<_>, _>>()?;
            let result = keys.iter().filter_map(|key| collection.points.get(key)).map(retrieved).collect();
            Ok(Response::new(GetResponse { result, time: 0.0, usage: None }))
        })
    }

    async fn query(&self, request: Request<QueryPoints>) -> Result<Response<QueryResponse>, Status> {
        let request = request.into_inner();
        let wanted = match request.query.and_then(|query| query.variant) {
            Some(query::Variant::Nearest(input)) => match input.variant {
                Some(vector_input::Variant::Dense(dense)) => normalized(dense.data),
                _ => return Err(Status::unimplemented("vector input")),
            },
            _ => return Err(Status::unimplemented("query")),
        };
        self.with(&request.collection_name, |collection| {
            if wanted.len() as u64 != collection.dimensions {
                return Err(Status::invalid_argument("Wrong input: Vector dimension error"));
            }
            let points = collection.select(request.filter.as_ref())?.into_iter();
            let mut scored: Vec<(f32, &Point)> =
                points.map(|point| (dot(&wanted, &point.vector), point)).collect();
            scored.retain(|(score, _)| request.score_threshold.is_none_or(|least| *score >= least));
            scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
            let limit = usize::try_from(request.limit.unwrap_or(10)).unwrap_or(usize::MAX);
            let result = scored.into_iter().take(limit).map(|(score, point)| ScoredPoint {
                id: Some(point.id.clone()),
                payload: point.payload.clone(),
                score,
                ..ScoredPoint::default()
            });
            Ok(Response::new(QueryResponse { result: result.collect(), time: 0.0, usage: None }))
        })
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Result<Response<ScrollResponse>, Status> {
        let request = request.into_inner();
        let from = request.offset.as_ref().map(key).transpose()?;
        self.with(&request.collection_name, |collection| {
            let mut points = collection.select(request.filter.as_ref())?;
            if let Some(order) = &request.order_by {
                points.retain(|point| point.payload.contains_key(&order.key));
                points.sort_by(|a, b| compare(a, b, order));
            }
            if let Some(from) = from {
                points.retain(|point| key(&point.id).is_ok_and(|key| key >= from));
            }
            let limit = request.limit.unwrap_or(10) as usize;
            let next_page_offset = points.get(limit).map(|point| point.id.clone());
            let result = points.into_iter().take(limit).map(retrieved).collect();
            Ok(Response::new(ScrollResponse { next_page_offset, result, time: 0.0, usage: None }))
        })
    }

    async fn count(&self, request: Request<CountPoints>) -> Result<Response<CountResponse>, Status> {
        let request = request.into_inner();
        self.with(&request.collection_name, |collection| {
            let count = collection.select(request.filter.as_ref())?.len() as u64;
            Ok(Response::new(CountResponse { result: Some(CountResult { count }), time: 0.0, usage: None }))
        })
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Result<Response<PointsOperationResponse>, Status> {
        // A scan needs no index.
        self.with(&request.into_inner().collection_name, |_| Ok(completed()))
    }

    unimplemented_methods! {
        update_vectors: UpdatePointVectors => PointsOperationResponse,
        delete_vectors: DeletePointVectors => PointsOperationResponse,
        set_payload: SetPayloadPoints => PointsOperationResponse,
        overwrite_payload: SetPayloadPoints => PointsOperationResponse,
        delete_payload: DeletePayloadPoints => PointsOperationResponse,
        clear_payload: ClearPayloadPoints => PointsOperationResponse,
        delete_field_index: DeleteFieldIndexCollection => PointsOperationResponse,
        create_vector_name: CreateVectorNameRequest => PointsOperationResponse,
        delete_vector_name: DeleteVectorNameRequest => PointsOperationResponse,
        search: SearchPoints => SearchResponse,
        search_batch: SearchBatchPoints => SearchBatchResponse,
        search_groups: SearchPointGroups => SearchGroupsResponse,
        recommend: RecommendPoints => RecommendResponse,
        recommend_batch: RecommendBatchPoints => RecommendBatchResponse,
        recommend_groups: RecommendPointGroups => RecommendGroupsResponse,
        discover: DiscoverPoints => DiscoverResponse,
        discover_batch: DiscoverBatchPoints => DiscoverBatchResponse,
        update_batch: UpdateBatchPoints => UpdateBatchResponse,
        query_batch: QueryBatchPoints => QueryBatchResponse,
        query_groups: QueryPointGroups => QueryGroupsResponse,
        facet: FacetCounts => FacetResponse,
        search_matrix_pairs: SearchMatrixPoints => SearchMatrixPairsResponse,
        search_matrix_offsets: SearchMatrixPoints => SearchMatrixOffsetsResponse,
    }
}

impl Collection {
    /// The points that obey a filter, in the order of their ids.
    fn select(&self, filter: Option<&Filter>) -> Result<Vec<&Point>, Status> {
        let mut selected = Vec::new();
        for point in self.points.values() {
            if filter.map_or(Ok(true), |filter| obeys(point, filter))? {
                selected.push(point);
            }
        }
        Ok(selected)
    }
}

fn to_point(point: PointStruct, dimensions: u64) -> Result<Point, Status> {
    let vector = match point.vectors.and_then(|vectors| vectors.vectors_options) {
        Some(vectors::VectorsOptions::Vector(vector)) => match vector.vector {
            Some(vector::Vector::Dense(dense)) => dense.data,
            _ => return Err(Status::unimplemented("dense vectors only")),
        },
        _ => return Err(Status::unimplemented("unnamed vectors only")),
    };
    if vector.len() as u64 != dimensions {
        return Err(Status::invalid_argument("Wrong input: Vector dimension error"));
    }
    let id = point.id.ok_or_else(|| Status::invalid_argument("a point id is missing"))?;
    Ok(Point { id, vector: normalized(vector), payload: point.payload })
}

fn normalized(mut vector: Vec<f32>) -> Vec<f32> {
    let length = dot(&vector, &vector).sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn compare(a: &Point, b: &Point, order: &OrderBy) -> Ordering {
    let value = |point: &Point| point.payload.get(&order.key).and_then(number).unwrap_or(f64::NAN);
    let ascending = value(a).total_cmp(&value(b));
    if order.direction() == Direction::Desc { ascending.reverse() } else { ascending }
}

fn retrieved(point: &Point) -> RetrievedPoint {
    RetrievedPoint { id: Some(point.id.clone()), payload: point.payload.clone(), ..RetrievedPoint::default() }
}

fn completed() -> Response<PointsOperationResponse> {
    let result = UpdateResult { status: UpdateStatus::Completed.into(), ..UpdateResult::default() };
    Response::new(PointsOperationResponse { result: Some(result), time: 0.0, usage: None })
}
