"""The methods of the onboarding service for products."""

import grpc

from number_verification.domain.onboarding import products
from number_verification.domain.onboarding.product import Product
from number_verification.domain.onboarding.rules import Rules
from number_verification.domain.onboarding.steps import WITHDRAW_PRODUCT
from number_verification.gen.onboarding.v1 import products_pb2 as pb
from number_verification.services import update_masks
from number_verification.services.entities import product_draft, product_message
from number_verification.services.enumerations import PRODUCT_STATES
from number_verification.services.onboarding.calls import OnboardingCalls


class ProductsMethods:
    """Serves each method by its use case."""

    _calls: OnboardingCalls
    _rules: Rules

    def CreateProduct(self, request: pb.CreateProductRequest, _: grpc.ServicerContext) -> pb.CreateProductResponse:
        """Put a product into the catalogue."""
        draft = product_draft(request.product)
        return self._calls.write(
            request,
            pb.CreateProductResponse,
            lambda writing, principal, now: products.create(
                writing, principal, self._rules, draft, request.product_id, now
            ),
            product_message,
        )

    def GetProduct(self, request: pb.GetProductRequest, _: grpc.ServicerContext) -> pb.GetProductResponse:
        """Return a product."""
        product = self._calls.read(lambda reading, _: products.get(reading, request.name))
        return pb.GetProductResponse(product=product_message(product))

    def ListProducts(self, request: pb.ListProductsRequest, _: grpc.ServicerContext) -> pb.ListProductsResponse:
        """List products, page by page."""
        state = PRODUCT_STATES.read(request.state, "state")
        page, more = self._calls.page(request, Product, state, product_message)
        return pb.ListProductsResponse(products=page, next_page_token=more)

    def UpdateProduct(self, request: pb.UpdateProductRequest, _: grpc.ServicerContext) -> pb.UpdateProductResponse:
        """Change a product."""
        product, draft = request.product, product_draft(request.product)
        paths = update_masks.paths(product, request.update_mask, products.CHANGEABLE)
        return self._calls.write(
            request,
            pb.UpdateProductResponse,
            lambda writing, principal, now: products.update(
                writing, principal, self._rules, product.name, draft, paths, product.etag, now
            ),
            product_message,
        )

    def WithdrawProduct(
        self, request: pb.WithdrawProductRequest, _: grpc.ServicerContext
    ) -> pb.WithdrawProductResponse:
        """Take a product out of the catalogue."""
        return self._calls.step(request, pb.WithdrawProductResponse, products.go, WITHDRAW_PRODUCT, product_message)
